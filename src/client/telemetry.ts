import type { ConsumedRecord } from "./consumed-batch.ts";
import type { ProducerRecord, RecordAck } from "./producer-types.ts";

/** Records on their way from an application to a topic. */
export interface ProducedWork {
  /** "send": the outcome will be told. "create": records are given to the producer, and what becomes of them is not. */
  readonly operation: "send" | "create";
  readonly topic: string;
  /** One at least. */
  readonly records: readonly ProducerRecord[];
  readonly clientId: string;
}

/** Somebody looks on while records are sent. */
export interface ProduceTrace {
  /** What is sent instead: the same records, in order, with headers that tell their readers where they come from. */
  readonly records: readonly ProducerRecord[];
  /** The records were acknowledged, in their order; with "create" they were taken, and there are none. */
  succeeded(acks: readonly RecordAck[]): void;
  failed(error: unknown): void;
}

/** Records in the hands of an application. */
export interface ProcessedWork {
  readonly topic: string;
  readonly partition: number;
  /** Of the first record. */
  readonly offset: number;
  readonly recordCount: number;
  /** Decoded as they are asked for; may throw CORRUPT_MESSAGE. */
  readonly records: Iterable<ConsumedRecord>;
  readonly isBatch: boolean;
  readonly clientId: string;
  /** Undefined: it is no member of a group. */
  readonly groupId: string | undefined;
}

/**
 * Who watches what a client does, such as `openTelemetry()` of lograft/opentelemetry. Where a client has none, nothing of
 * it is called. Methods must not throw of themselves.
 */
export interface Telemetry {
  /** Before records are sent or given to the producer. */
  produce(work: ProducedWork): ProduceTrace;
  /** Calls `run`, which is a handler's call, and answers or throws what it does. */
  process(work: ProcessedWork, run: () => Promise<void> | void): Promise<void> | void;
}
