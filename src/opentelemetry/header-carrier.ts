import type { SpanContext, TextMapGetter } from "@opentelemetry/api";
import type { ProducerHeader, RecordHeader } from "../client/index.ts";

/** The W3C headers of a record: where it was made. */
export const TRACEPARENT = "traceparent";
export const TRACESTATE = "tracestate";

/** Reads the headers of a record for a propagator. Of a repeated one the last holds. */
export const HEADER_GETTER: TextMapGetter<readonly RecordHeader[]> = {
  get: (headers, name) => {
    const value = headers.findLast(({ key }) => key.toLowerCase() === name.toLowerCase())?.value;
    return value === undefined || value === null ? undefined : Buffer.from(value).toString("utf8");
  },
  keys: (headers) => headers.map(({ key }) => key),
};

/** True when a record says already where it was made. */
export function isTraced(headers: readonly ProducerHeader[] | undefined): boolean {
  return headers?.some(({ key }) => key.toLowerCase() === TRACEPARENT) === true;
}

/** "00-<trace id>-<span id>-<flags>" (W3C Trace Context, section 3.2), and the state of the trace if it has one. */
export function w3cHeaders({ traceId, spanId, traceFlags, traceState }: SpanContext): ProducerHeader[] {
  const flags = traceFlags.toString(16).padStart(2, "0");
  const headers = [{ key: TRACEPARENT, value: `00-${traceId}-${spanId}-${flags}` }];
  const state = traceState?.serialize() ?? "";
  return state === "" ? headers : [...headers, { key: TRACESTATE, value: state }];
}

/** The opposite; undefined when it is not one, such as one of zeros (section 3.2.2). */
export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(text ?? "");
  if (match === null || text?.startsWith("ff") === true) return undefined;
  const [, traceId = "", spanId = "", flags = ""] = match;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}
