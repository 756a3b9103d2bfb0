import { afterAll, beforeAll } from "vitest";
import type {
  AssignmentSpec,
  ClientLane,
  ConsumedRecord,
  Consumer,
  NewTopicSpec,
  ProducerRecord,
} from "../../src/client/index.ts";
import { LograftClient } from "../../src/client/index.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { startBroker } from "../../src/testing.ts";

/** 2026-01-01. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);
export const QUICK_RETRY = { initialMs: 10, maxMs: 50 } as const;

/** The SDK over the real wire: a broker on a real disk and a client, for the tests of one block. */
export interface Wire {
  readonly lane: ClientLane;
  readonly address: string;
  readonly client: LograftClient;
  /** Answers the name. */
  create(name: string, spec?: Omit<NewTopicSpec, "name">): Promise<string>;
  write(topic: string, records: readonly ProducerRecord[]): Promise<void>;
  /** The values of the first `count` records from where `spec` says. */
  read(spec: AssignmentSpec, count: number): Promise<string[]>;
  /** Log end offsets by partition. */
  ends(topic: string): Promise<number[]>;
}

/** Starts both before the tests of the block that calls it, and closes them after. */
export function useWire(lane: ClientLane): Wire {
  let broker: RunningBroker;
  let client: LograftClient;
  beforeAll(async () => {
    broker = await startBroker({
      config: { "auto.create.topics.enable": "false", "message.max.bytes": "8MiB" },
    });
    client = new LograftClient({ brokers: [broker.address], lane, retry: QUICK_RETRY });
  });
  afterAll(async () => {
    await client.close();
    await broker.close();
  });
  return {
    lane,
    get address() {
      return broker.address;
    },
    get client() {
      return client;
    },
    create: async (name, spec = {}) => {
      await client.admin().createTopics([{ name, replicationFactor: 1, ...spec }]);
      return name;
    },
    write: async (topic, records) => {
      await using producer = client.producer({ lingerMs: 0 });
      await producer.sendBatch(topic, records);
    },
    read: async (spec, count) => {
      await using consumer = client.consumer({ assign: [spec] });
      return (await take(consumer, count)).map(text);
    },
    ends: async (topic) => {
      const [details] = await client.admin().describeTopics([topic]);
      return details?.partitions.map(({ logEndOffset }) => logEndOffset) ?? [];
    },
  };
}

/** The next `count` records. */
export async function take(
  consumer: Consumer,
  count: number,
  signal?: AbortSignal,
): Promise<ConsumedRecord[]> {
  const records: ConsumedRecord[] = [];
  for await (const record of consumer.messages(signal === undefined ? {} : { signal })) {
    records.push(record);
    if (records.length === count) break;
  }
  return records;
}

/** The value as text. */
export function text(record: ConsumedRecord): string {
  return String(record.value);
}

/** What the promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error: unknown) {
    return error;
  }
  throw new Error("it succeeded");
}
