import type { Metadata, UntypedServiceImplementation } from "@grpc/grpc-js";
import { statusFromError } from "../../rpc/error-details.ts";
import { isRequestId, REQUEST_ID_KEY, type RequestIds } from "../../rpc/request-id.ts";
import { toGrpcJsStatus } from "../../rpc/stream/grpc-js-metadata.ts";

/** What all kinds of calls of the library have. */
interface AnyCall {
  readonly metadata: Metadata;
}

type AnyHandler = (call: AnyCall, callback: unknown) => void;

/** The same methods, whose calls all have an id: their own, or one of ours in place of none or of a bad one. */
export function withRequestIds(
  methods: UntypedServiceImplementation,
  ids: RequestIds,
): UntypedServiceImplementation {
  const named = Object.entries(methods).map(([name, handler]) => {
    const serve = handler as unknown as AnyHandler;
    const wrapped: AnyHandler = (call, callback) => {
      if (!isRequestId(requestIdOfCall(call))) call.metadata.set(REQUEST_ID_KEY, ids.next());
      serve(call, callback);
    };
    return [name, wrapped] as const;
  });
  return Object.fromEntries(named) as unknown as UntypedServiceImplementation;
}

/** The id of a call; undefined: none. */
export function requestIdOfCall({ metadata }: AnyCall): string | undefined {
  const value = metadata.get(REQUEST_ID_KEY)[0];
  return typeof value === "string" ? value : undefined;
}

/** Ends a streaming call of the library with an error, the way in which it takes one. */
export function failCall(
  call: AnyCall & { readonly emit: (event: "error", status: unknown) => unknown },
  error: unknown,
): void {
  call.emit("error", toGrpcJsStatus(statusFromError(error, { requestId: requestIdOfCall(call) ?? "" })));
}
