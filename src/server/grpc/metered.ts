import { status } from "@grpc/grpc-js";
import type { handleUnaryCall, ServerErrorResponse, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { RequestMeter } from "../../broker/request-meter.ts";
import type { Clock } from "../../platform/clock.ts";

export interface MeteredDeps {
  readonly requests: RequestMeter;
  readonly clock: Clock;
}

/**
 * The same methods, counted by status and time. For those with one request and one answer; `without` names those that are
 * counted elsewhere.
 */
export function metered(
  methods: UntypedServiceImplementation,
  deps: MeteredDeps,
  without: ReadonlySet<string> = new Set(),
): UntypedServiceImplementation {
  const all = Object.entries(methods).map(([name, handler]) => {
    const isUnary = handler.length === 2;
    if (!isUnary || without.has(name)) return [name, handler] as const;
    return [name, meteredCall(name, handler as handleUnaryCall<unknown, unknown>, deps)] as const;
  });
  return Object.fromEntries(all);
}

function meteredCall(
  name: string,
  handler: handleUnaryCall<unknown, unknown>,
  { requests, clock }: MeteredDeps,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    const startMs = clock.monotonicMs();
    handler(call, (error, ...rest) => {
      requests.count(name, codeOf(error));
      requests.observe(name, "total", clock.monotonicMs() - startMs);
      callback(error, ...rest);
    });
  };
}

function codeOf(error: Partial<ServerErrorResponse> | { readonly code?: status } | null): string {
  if (error === null) return "NONE";
  return error.code === undefined ? "UNKNOWN" : (status[error.code] ?? "UNKNOWN");
}
