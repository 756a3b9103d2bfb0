import { expect } from "vitest";
import type { ConsumerOptions } from "../../src/client/index.ts";
import { LograftClient } from "../../src/client/index.ts";
import { startBroker } from "../../src/testing.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { cli } from "./harness.ts";
import type { CliInput, CliRun } from "./harness.ts";

/** What `group describe --json` says. */
export interface DescribedGroup {
  readonly state: string;
  readonly epoch: number;
  readonly totalLag: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly assignment: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
  }[];
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly committedOffset: string | null;
    readonly lag: string | null;
  }[];
}

/** No waiting in these tests takes as long, on any machine. */
const EVENTUALLY_MS = 25_000;

/** A real broker in this process, the commands against it, and members of groups that live beside them. */
export class GroupScene implements AsyncDisposable {
  readonly #broker: RunningBroker;
  readonly #client: LograftClient;

  private constructor(broker: RunningBroker) {
    this.#broker = broker;
    this.#client = new LograftClient({ brokers: [broker.address], clientId: "scene" });
  }

  static async start(): Promise<GroupScene> {
    return new GroupScene(
      await startBroker({
        config: { "auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": "0" },
      }),
    );
  }

  get address(): string {
    return this.#broker.address;
  }

  cli(args: readonly string[], input: CliInput = {}): Promise<CliRun> {
    return cli(args, { env: { LOGRAFT_BROKERS: this.address }, ...input });
  }

  /** As `cli`, for a command that must succeed; answers its stdout. */
  async done(args: readonly string[], input: CliInput = {}): Promise<string> {
    const { code, stdout, stderr } = await this.cli(args, input);
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr });
    return stdout;
  }

  /** A topic with records "0", "1", ... of these times (ms) in each partition. */
  async topic(name: string, partitions: number, timestamps: readonly number[]): Promise<void> {
    await this.#client.admin().createTopics([{ name, partitions, replicationFactor: 1 }]);
    await using producer = this.#client.producer({ lingerMs: 0 });
    for (let partition = 0; partition < partitions; partition++) {
      const records = timestamps.map((timestamp, index) => ({ value: String(index), partition, timestamp }));
      await producer.sendBatch(name, records);
    }
  }

  /** Lets a group commit an offset for each partition, from the first on, without a member. */
  async commit(groupId: string, topic: string, offsets: readonly number[]): Promise<void> {
    const planned = offsets.map((offset, partition) => ({ topic, partition, offset }));
    await this.#client
      .admin()
      .resetGroupOffsets({ groupId, to: { offsets: planned }, dryRun: false, allowNewGroup: true });
  }

  /** A member that reads and commits until it is disposed; it has its partitions by now. */
  async member(options: ConsumerOptions & { readonly groupId: string }): Promise<AsyncDisposable> {
    const consumer = this.#client.consumer(options);
    const isAssigned = new Promise<void>((resolve) => {
      consumer.on("assigned", () => resolve());
    });
    const stop = new AbortController();
    const running = consumer.run({ eachMessage: () => undefined, signal: stop.signal });
    // A member that fails before it has anything fails the test; the end by `stop` is no failure.
    await Promise.race([isAssigned, running]);
    const ended = running.catch(() => undefined);
    return {
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await ended;
        await consumer.close();
      },
    };
  }

  async described(groupId: string): Promise<DescribedGroup> {
    return JSON.parse(await this.done(["group", "describe", groupId, "--json"])) as DescribedGroup;
  }

  /** Resolves when the group is as `check` wants it. */
  async until(groupId: string, check: (group: DescribedGroup) => void): Promise<DescribedGroup> {
    let group = await this.described(groupId);
    await expect
      .poll(
        async () => {
          group = await this.described(groupId);
          check(group);
          return true;
        },
        { timeout: EVENTUALLY_MS },
      )
      .toBe(true);
    return group;
  }

  /** "topic-partition" to what is committed. */
  async committed(groupId: string): Promise<Record<string, string | null>> {
    const { partitions } = await this.described(groupId);
    return Object.fromEntries(
      partitions.map(({ topic, partition, committedOffset }) => [`${topic}-${partition}`, committedOffset]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
    await this.#broker.close();
  }
}
