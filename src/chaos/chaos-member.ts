import type { ConsumedBatch, Consumer, TopicPartitionRef } from "../client/index.ts";
import { isLograftError, LograftClient } from "../client/index.ts";
import type { MicroOperation } from "../history/history-line.ts";
import type { HistoryWriter, OpenOperation } from "../history/history-writer.ts";
import { keyName } from "./keys.ts";
import type { MemberProgram } from "./member-messages.ts";
import { nowNs } from "./monotonic-time.ts";
import { RelayedTransport } from "./relayed-clients.ts";

const REQUEST_TIMEOUT_MS = 5000;
/** A commit outlives the death of a coordinator. */
const COMMIT_TIMEOUT_MS = 20_000;
/** Each key has its handler at the same time as the others. */
const CONCURRENCY = 10_000;

/**
 * One member of a group, which writes down what it was given and lost, what it found committed of it, each stretch of
 * records that it has processed, and then the commit of it: one at a time for each key, under a name of its own.
 */
export class ChaosMember {
  readonly #program: MemberProgram;
  readonly #writer: HistoryWriter;
  readonly #onHeld: (keys: readonly string[]) => void;
  readonly #client: LograftClient;
  readonly #consumer: Consumer;
  #generation = -1;
  #commits = 0;

  constructor(
    program: MemberProgram,
    deps: { readonly writer: HistoryWriter; readonly onHeld: (keys: readonly string[]) => void },
  ) {
    const { brokers, ways, group, topics, process } = program;
    this.#program = program;
    this.#writer = deps.writer;
    this.#onHeld = deps.onHeld;
    const clientId = `chaos-member-${process}`;
    this.#client = new LograftClient({
      brokers,
      clientId,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      retry: { initialMs: 20, maxMs: 250, jitter: 0.2 },
      ...(ways.length === 0 ? {} : { transport: new RelayedTransport(clientId, new Map(ways)) }),
    });
    this.#consumer = this.#client.consumer({ groupId: group, topics, commit: "manual" });
    this.#consumer.on("assigned", ({ partitions }) => {
      this.#tell(partitions, []);
      void this.#ask(partitions); // Never rejects: its outcome is in the history.
    });
    this.#consumer.on("revoked", ({ partitions }) => this.#tell([], partitions));
    this.#consumer.on("lost", ({ partitions }) => this.#tell([], partitions));
    this.#consumer.on("rebalance", ({ assignment }) => this.#onHeld(assignment.map(keyName)));
  }

  /** Processes until it leaves. @throws what no retry of the consumer could heal. */
  async run(): Promise<void> {
    await this.#consumer.run({ eachBatch: (batch) => this.#process(batch), concurrency: CONCURRENCY });
  }

  /** Finishes what is begun, commits it, leaves the group. */
  async leave(timeoutMs: number): Promise<void> {
    await this.#consumer.close({ timeoutMs });
    await this.#client.close();
  }

  /** The epoch of the membership; of the one before while there is none. */
  get #epoch(): number {
    this.#generation = this.#consumer.status.memberEpoch ?? this.#generation;
    return this.#generation;
  }

  #tell(gained: readonly TopicPartitionRef[], revoked: readonly TopicPartitionRef[]): void {
    const { process, group } = this.#program;
    this.#writer.line({
      type: "member",
      t: nowNs(),
      p: process,
      group,
      gen: this.#epoch,
      gained: gained.map(keyName),
      revoked: revoked.map(keyName),
    });
  }

  /** What the group has committed of what has just come: the register is read where a change would hurt. */
  async #ask(partitions: readonly TopicPartitionRef[]): Promise<void> {
    const { group } = this.#program;
    const open = this.#writer.invoke("fetchOffset");
    try {
      const found = await this.#consumer.committed(partitions, { timeoutMs: REQUEST_TIMEOUT_MS });
      const mops = found.map((one): MicroOperation => [
        "committed",
        group,
        keyName(one),
        one.offset ?? -1,
        one.metadata,
      ]);
      this.#writer.complete(open, "ok", { mops });
    } catch (error: unknown) {
      this.#failed(open, error);
    }
  }

  async #process(batch: ConsumedBatch): Promise<void> {
    const key = keyName(batch);
    let stretch: { readonly from: number; to: number } | undefined;
    for (const { offset } of batch) {
      if (stretch !== undefined && offset !== stretch.to + 1) this.#handled(key, stretch);
      if (stretch?.to === offset - 1) stretch.to = offset;
      else stretch = { from: offset, to: offset };
    }
    if (stretch === undefined) return;
    this.#handled(key, stretch);
    await this.#commit(batch, key, stretch.to + 1);
  }

  #handled(key: string, { from, to }: { readonly from: number; readonly to: number }): void {
    const { process, group } = this.#program;
    const gen = this.#epoch;
    this.#writer.line({ type: "handled", t: nowNs(), p: process, group, gen, k: key, from, to });
  }

  async #commit(
    { topic, partition, leaderEpoch }: ConsumedBatch,
    key: string,
    offset: number,
  ): Promise<void> {
    const metadata = `${this.#program.process}.${this.#commits++}`;
    const open = this.#writer.invoke("commit", [["commit", this.#program.group, key, offset, metadata]]);
    try {
      const spec = { topic, partition, offset, leaderEpoch, metadata };
      await this.#consumer.commitOffsets([spec], { timeoutMs: COMMIT_TIMEOUT_MS });
      this.#writer.complete(open, "ok");
    } catch (error: unknown) {
      this.#failed(open, error);
    }
  }

  /** The consumer tells how its last attempt ended; one before it may have been carried out. */
  #failed(open: OpenOperation, error: unknown): void {
    this.#writer.complete(open, "info", { err: isLograftError(error) ? error.code : "UNKNOWN" });
  }
}
