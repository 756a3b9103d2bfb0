import { createTraceState, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Context, SpanContext } from "@opentelemetry/api";
import type { ConsumedRecord, ProducerHeader, RecordHeader } from "../client/index.ts";
import { HEADER_GETTER, parseTraceparent, TRACEPARENT, TRACESTATE, w3cHeaders } from "./header-carrier.ts";

/**
 * The context in which a record was sent, for spans of an application that reads in a loop. By the propagator that is
 * registered, else by the W3C headers; empty when the record says nothing.
 */
export function contextOfRecord({ headers }: Pick<ConsumedRecord, "headers">): Context {
  const context = propagation.extract(ROOT_CONTEXT, headers, HEADER_GETTER);
  if (trace.getSpanContext(context) !== undefined) return context;
  const spanContext = w3cContext(headers);
  return spanContext === undefined ? context : trace.setSpanContext(context, spanContext);
}

/** Headers that carry a context: those of the propagator that is registered, else those of W3C. */
export function headersOfContext(context: Context): readonly ProducerHeader[] {
  const headers: ProducerHeader[] = [];
  propagation.inject(context, headers, { set: (carrier, key, value) => void carrier.push({ key, value }) });
  if (headers.length > 0) return headers;
  const spanContext = trace.getSpanContext(context);
  return spanContext === undefined || !trace.isSpanContextValid(spanContext) ? [] : w3cHeaders(spanContext);
}

function w3cContext(headers: readonly RecordHeader[]): SpanContext | undefined {
  const spanContext = parseTraceparent(HEADER_GETTER.get(headers, TRACEPARENT)?.toString());
  const state = HEADER_GETTER.get(headers, TRACESTATE)?.toString();
  if (spanContext === undefined || state === undefined) return spanContext;
  return { ...spanContext, traceState: createTraceState(state) };
}
