import { onTestFinished } from "vitest";
import type {
  Consumer,
  ConsumerOptions,
  LograftClientOptions,
  LograftError,
  TopicPartitionRef,
} from "../../src/client/index.ts";
import { FakeGroup } from "./fake-group.ts";
import { harness, type Harness } from "./harness.ts";

/** A client, a fake cluster with a topic "t", a coordinator for group "g", and virtual time. */
export interface GroupHarness extends Harness {
  readonly group: FakeGroup;
  /** A member of "g" that reads "t" and notes its events. */
  readonly member: (options?: Partial<ConsumerOptions>) => NotedConsumer;
  /** Writes the values "partition:0", "partition:1" and so on, one batch each, with these keys. */
  readonly fill: (partition: number, count: number, keys?: readonly string[]) => Promise<void>;
}

/** A consumer with what it told. */
export interface NotedConsumer {
  readonly consumer: Consumer;
  /** Such as "assigned 0,1", without the errors. */
  readonly events: string[];
  readonly errors: LograftError[];
}

export function groupHarness(
  options: { readonly partitions: number; readonly brokers?: number },
  client: Partial<LograftClientOptions> = {},
): GroupHarness {
  const h = harness({ topics: { t: options.partitions }, brokers: options.brokers ?? 1 }, client);
  const keys = Array.from({ length: options.partitions }, (_, partition) => `t-${partition}`);
  const group = new FakeGroup({ partitions: keys }, { cluster: h.cluster });
  // What a test leaves open must not outlive it.
  onTestFinished(async () => {
    await h.settle(h.client.close());
  });
  let written = 0;
  const note = (name: string, refs: readonly TopicPartitionRef[]): string =>
    `${name} ${refs.map(({ partition }) => partition).join()}`;
  return {
    ...h,
    group,
    member: (more = {}) => {
      const consumer = h.client.consumer({ groupId: "g", topics: ["t"], ...more });
      const events: string[] = [];
      const errors: LograftError[] = [];
      consumer.on("assigned", ({ partitions }) => events.push(note("assigned", partitions)));
      consumer.on("revoked", ({ partitions }) => events.push(note("revoked", partitions)));
      consumer.on("lost", ({ partitions }) => events.push(note("lost", partitions)));
      consumer.on("error", (error) => errors.push(error));
      return { consumer, events, errors };
    },
    fill: async (partition, count, recordKeys) => {
      const producer = h.client.producer({ lingerMs: 0 });
      const first = written;
      written += count;
      for (let index = 0; index < count; index++) {
        const key = recordKeys?.[index] ?? null;
        const value = `${partition}:${recordKeys === undefined ? index : first + index}`;
        await h.settle(producer.send("t", { value, partition, key }));
      }
      await h.settle(producer.close());
    },
  };
}

/** Runs virtual time until the condition holds. */
export function until(
  h: Pick<Harness, "scheduler">,
  condition: () => boolean,
  limitMs = 60_000,
): Promise<void> {
  return h.scheduler.runUntil(condition, limitMs);
}
