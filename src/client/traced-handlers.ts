import type { ConsumedBatch, ConsumedRecord } from "./consumed-batch.ts";
import type { HandlerContext, RunOptions } from "./consumer-types.ts";
import type { Telemetry } from "./telemetry.ts";

/** Whose handlers they are. */
export interface TracedReader {
  readonly clientId: string;
  readonly groupId: string | undefined;
}

/** The same options, whose handlers are called under the eyes of `telemetry`: each attempt is a call of its own. */
export function tracedHandlers(telemetry: Telemetry, options: RunOptions, reader: TracedReader): RunOptions {
  const { eachBatch, eachMessage } = options;
  if (eachBatch !== undefined) {
    return {
      ...options,
      eachBatch: (batch, context) =>
        telemetry.process({ ...workOfBatch(batch), ...reader }, () => eachBatch(batch, context)),
    };
  }
  const handle = (record: ConsumedRecord, context: HandlerContext): Promise<void> | void =>
    telemetry.process({ ...workOfRecord(record), ...reader }, () => eachMessage(record, context));
  return { ...options, eachMessage: handle };
}

type Work = Omit<Parameters<Telemetry["process"]>[0], keyof TracedReader>;

function workOfBatch(batch: ConsumedBatch): Work {
  const { topic, partition, firstOffset: offset, recordCount } = batch;
  return { topic, partition, offset, recordCount, records: batch, isBatch: true };
}

function workOfRecord(record: ConsumedRecord): Work {
  const { topic, partition, offset } = record;
  return { topic, partition, offset, recordCount: 1, records: [record], isBatch: false };
}
