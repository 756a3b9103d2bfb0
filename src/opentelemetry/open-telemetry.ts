import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Attributes, Context, Link, Span, Tracer, TracerProvider } from "@opentelemetry/api";
import { isLograftError } from "../client/index.ts";
import type {
  ConsumedRecord,
  ProcessedWork,
  ProducedWork,
  ProducerRecord,
  ProduceTrace,
  RecordAck,
  Telemetry,
} from "../client/index.ts";
import { isTraced } from "./header-carrier.ts";
import { contextOfRecord, headersOfContext } from "./record-context.ts";

export interface OpenTelemetryOptions {
  /** Default: the one that is registered when the first span begins. */
  readonly tracerProvider?: TracerProvider;
  /**
   * What a `process` span of one record is to the span that sent it: "link" (default, a trace of its own that points there),
   * or "child", which continues that trace. Spans of batches always link.
   */
  readonly processSpans?: "link" | "child";
}

const INSTRUMENTATION_NAME = "lograft";
/** Of one span; the SDKs keep 128 by default. */
const MAX_LINKS = 128;
const OPERATION_TYPE = { send: "send", create: "create", process: "process" } as const;

/** For `new LograftClient({ telemetry: openTelemetry() })`: spans by the conventions for messaging, and W3C headers. */
export function openTelemetry(options: OpenTelemetryOptions = {}): Telemetry {
  return new OpenTelemetry(options);
}

class OpenTelemetry implements Telemetry {
  readonly #options: OpenTelemetryOptions;

  constructor(options: OpenTelemetryOptions) {
    this.#options = options;
  }

  produce(work: ProducedWork): ProduceTrace {
    const { operation, topic, records, clientId } = work;
    const [first] = records;
    const partition = records.length === 1 ? first?.partition : undefined;
    const span = this.#tracer().startSpan(`${operation} ${topic}`, {
      kind: SpanKind.PRODUCER,
      attributes: {
        ...destination(operation, topic, clientId, partition),
        ...batchCount(records.length, records.length > 1),
      },
      links: linksOf(records.filter((record) => isTraced(record.headers)).map(headersAsConsumed)),
    });
    const headers = headersOfContext(trace.setSpan(context.active(), span));
    return {
      records: headers.length === 0 ? records : records.map((record) => withHeaders(record, headers)),
      succeeded: (acks) => {
        span.setAttributes(acknowledged(acks));
        span.end();
      },
      failed: (error) => endWith(span, error),
    };
  }

  process(work: ProcessedWork, run: () => Promise<void> | void): Promise<void> | void {
    const { topic, partition, offset, recordCount, isBatch, clientId, groupId } = work;
    const active = context.active();
    const sent = linksOf(work.records);
    const isChild = this.#options.processSpans === "child" && !isBatch;
    const parent = isChild ? parentOf(work.records, active) : active;
    const span = this.#tracer().startSpan(
      `process ${topic}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: {
          ...destination("process", topic, clientId, partition),
          "messaging.lograft.offset": offset,
          ...(groupId === undefined ? {} : { "messaging.consumer.group.name": groupId }),
          ...batchCount(recordCount, isBatch),
        },
        links: sent,
      },
      parent,
    );
    return runIn(trace.setSpan(parent, span), span, run);
  }

  #tracer(): Tracer {
    const { tracerProvider } = this.#options;
    return tracerProvider === undefined
      ? trace.getTracer(INSTRUMENTATION_NAME)
      : tracerProvider.getTracer(INSTRUMENTATION_NAME);
  }
}

function destination(
  operation: keyof typeof OPERATION_TYPE,
  topic: string,
  clientId: string,
  partition: number | undefined,
): Attributes {
  return {
    "messaging.system": "lograft",
    "messaging.operation.name": operation,
    "messaging.operation.type": OPERATION_TYPE[operation],
    "messaging.destination.name": topic,
    "messaging.client.id": clientId,
    ...(partition === undefined ? {} : { "messaging.destination.partition.id": String(partition) }),
  };
}

/** Only spans of batches tell it, also when there is one record in it. */
function batchCount(count: number, isBatch: boolean): Attributes {
  return isBatch ? { "messaging.batch.message_count": count } : {};
}

/** Where one record went; those of a batch went to several places. */
function acknowledged(acks: readonly RecordAck[]): Attributes {
  const [ack] = acks;
  if (ack === undefined || acks.length > 1) return {};
  return {
    "messaging.destination.partition.id": String(ack.partition),
    ...(ack.offset < 0 ? {} : { "messaging.lograft.offset": ack.offset }),
  };
}

/** A record that says already where it was made keeps that. */
function withHeaders(
  record: ProducerRecord,
  headers: NonNullable<ProducerRecord["headers"]>,
): ProducerRecord {
  if (isTraced(record.headers)) return record;
  return { ...record, headers: [...(record.headers ?? []), ...headers] };
}

function headersAsConsumed({ headers = [] }: ProducerRecord): Pick<ConsumedRecord, "headers"> {
  return {
    headers: headers.map(({ key, value }) => ({ key, value: value === null ? null : Buffer.from(value) })),
  };
}

function linksOf(records: Iterable<Pick<ConsumedRecord, "headers">>): Link[] {
  const links: Link[] = [];
  const known = new Set<string>();
  try {
    for (const record of records) {
      if (links.length === MAX_LINKS) break;
      const spanContext = trace.getSpanContext(contextOfRecord(record));
      if (spanContext === undefined || known.has(spanContext.spanId)) continue;
      known.add(spanContext.spanId);
      links.push({ context: spanContext });
    }
  } catch (error: unknown) {
    // Records that cannot be read are the handler's to find: it is about to read them.
    if (!isLograftError(error)) throw error;
  }
  return links;
}

/** The trace of the one record goes on where it has one. */
function parentOf(records: Iterable<ConsumedRecord>, active: Context): Context {
  for (const record of records) {
    const spanContext = trace.getSpanContext(contextOfRecord(record));
    if (spanContext !== undefined) return trace.setSpanContext(active, spanContext);
  }
  return active;
}

function runIn(within: Context, span: Span, run: () => Promise<void> | void): Promise<void> | void {
  let result: Promise<void> | void;
  try {
    result = context.with(within, run);
  } catch (error: unknown) {
    endWith(span, error);
    throw error;
  }
  if (result === undefined) {
    span.end();
    return;
  }
  return Promise.resolve(result).then(
    () => span.end(),
    (error: unknown) => {
      endWith(span, error);
      throw error;
    },
  );
}

function endWith(span: Span, error: unknown): void {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const isOurs = isLograftError(error);
  span.setAttribute("error.type", isOurs ? error.code : name);
  if (isOurs && error.requestId !== undefined) span.setAttribute("lograft.request.id", error.requestId);
  span.recordException(error instanceof Error ? error : message);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.end();
}
