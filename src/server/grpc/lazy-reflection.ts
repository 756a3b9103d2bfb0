import type {
  handleBidiStreamingCall,
  MethodDefinition,
  Server,
  ServiceDefinition,
  UntypedHandleCall,
} from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { assert } from "../../base/assert.ts";

const SERVICES = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"] as const;
const METHOD = "ServerReflectionInfo";

interface LoadedMethod {
  readonly definition: MethodDefinition<unknown, unknown>;
  readonly handle: handleBidiStreamingCall<unknown, unknown>;
}

/**
 * Adds server reflection, whose index of every message is made at the first question: a broker is rarely asked, and
 * should not start later for it (20 ms of a start of 300).
 */
export function addLazyReflection(server: Server, packages: () => PackageDefinition): void {
  let loaded: ReadonlyMap<string, LoadedMethod> | undefined;
  for (const service of SERVICES) {
    const path = `/${service}/${METHOD}`;
    const method = (): LoadedMethod => {
      loaded ??= loadReflection(packages());
      const found = loaded.get(path);
      assert(found !== undefined, "the reflection library does not serve this", { path });
      return found;
    };
    const handle: handleBidiStreamingCall<unknown, unknown> = (call) => method().handle(call);
    server.addService({ [METHOD]: lazyDefinition(path, method) }, { [METHOD]: handle });
  }
}

/** The real method, looked for when a message is to be read or written. */
function lazyDefinition(path: string, method: () => LoadedMethod): MethodDefinition<unknown, unknown> {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: (value) => method().definition.requestSerialize(value),
    requestDeserialize: (bytes) => method().definition.requestDeserialize(bytes),
    responseSerialize: (value) => method().definition.responseSerialize(value),
    responseDeserialize: (bytes) => method().definition.responseDeserialize(bytes),
  };
}

/** What the library would add to a server, by path. */
function loadReflection(packages: PackageDefinition): Map<string, LoadedMethod> {
  const methods = new Map<string, LoadedMethod>();
  const addService = (
    service: ServiceDefinition,
    implementation: Readonly<Record<string, UntypedHandleCall>>,
  ): void => {
    const definition = service[METHOD];
    const handle = implementation[METHOD];
    if (definition === undefined || handle === undefined) return;
    // The one method of the service streams both ways: grpc.reflection.v1, reflection.proto.
    methods.set(definition.path, {
      definition,
      handle: handle as handleBidiStreamingCall<unknown, unknown>,
    });
  };
  new ReflectionService(packages).addToServer({ addService });
  return methods;
}
