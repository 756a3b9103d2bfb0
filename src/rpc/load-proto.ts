import { fileURLToPath } from "node:url";

import type { ServiceDefinition } from "@grpc/grpc-js";
import { loadSync, type Options, type PackageDefinition } from "@grpc/proto-loader";

import { operationError } from "../base/errors.ts";

/** The proto folder lies beside `src` and beside `dist`, so one relative path serves both. */
const PROTO_ROOT = fileURLToPath(new URL("../../proto/", import.meta.url));

const PROTO_FILES = ["lograft/v1/client.proto", "lograft/v1/admin.proto", "lograft/v1/group.proto"];

/** camelCase names, numbers for 64 bits and for enums, every field present except unset optionals and oneofs. */
const LOAD_OPTIONS: Options = {
  keepCase: false,
  longs: Number,
  defaults: true,
  arrays: true,
  objects: true,
  oneofs: true,
  includeDirs: [PROTO_ROOT],
};

let loaded: PackageDefinition | undefined;

/** Everything declared in proto/lograft/v1, read once for the life of the process. */
export function loadProto(): PackageDefinition {
  loaded ??= loadSync(PROTO_FILES, LOAD_OPTIONS);
  return loaded;
}

/** @param name such as "lograft.v1.ClientService". @throws LograftError CONFIG_INVALID when proto/ does not declare it. */
export function protoService(name: string): ServiceDefinition {
  const definition = loadProto()[name];
  if (definition === undefined || "format" in definition) {
    throw operationError("CONFIG_INVALID", `proto/ declares no service ${name}; the package is incomplete`);
  }
  return definition;
}

/**
 * A copy of a service whose named methods hand the serialized bytes through, both ways: their messages have codecs of
 * our own. @param methods names as declared, such as "Produce".
 */
export function withPassThrough(service: ServiceDefinition, methods: readonly string[]): ServiceDefinition {
  const out: Record<string, ServiceDefinition[string]> = { ...service };
  for (const name of methods) {
    const method = service[name];
    if (method === undefined) {
      throw operationError("CONFIG_INVALID", `the service has no method ${name}`, { context: { name } });
    }
    out[name] = {
      ...method,
      requestSerialize: passBuffer,
      requestDeserialize: passBuffer,
      responseSerialize: passBuffer,
      responseDeserialize: passBuffer,
    };
  }
  return out;
}

/** The codec of a message that is bytes already. */
export function passBuffer(value: Buffer): Buffer {
  return value;
}
