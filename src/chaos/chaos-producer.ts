import { setTimeout as sleep } from "node:timers/promises";
import type { Outcome } from "../history/history-line.ts";
import type { HistoryWriter, OpenOperation } from "../history/history-writer.ts";
import { isDefiniteError } from "../history/outcome.ts";
import { encodeBody } from "../history/record-body.ts";
import type { LograftClient, Producer, RecordAck } from "../client/index.ts";
import { DeliveryError, isLograftError } from "../client/index.ts";
import type { SeededRandom } from "../platform/random.ts";
import type { Key } from "./keys.ts";
import { keyInTurn } from "./turn.ts";
import type { Turn } from "./turn.ts";

const TICK_MS = 10;
/** Sends on the way: enough for a key to be away for half a minute without holding up the others. */
const MAX_OPEN = 5000;
const DELIVERY_TIMEOUT_MS = 30_000;
/** The first key gets this share of the records besides its part of the rest. */
const HOT_SHARE = 0.3;
const PADDING = "x".repeat(100);

export interface ChaosProducerOptions {
  /** In every value, so that those of two runs can be told apart. */
  readonly run: string;
  readonly keys: readonly Key[];
  readonly perSecond: number;
  readonly random: SeededRandom;
  /** In place of chance: the keys in turn with the other producers. */
  readonly turn?: Turn | undefined;
}

/** One process that sends unique values to all keys at a steady rate, with an idempotent producer, and logs each send. */
export class ChaosProducer {
  readonly #client: LograftClient;
  readonly #producer: Producer;
  readonly #writer: HistoryWriter;
  readonly #options: ChaosProducerOptions;
  readonly #sequences = new Map<string, number>();
  readonly #open = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  #counter = 0;
  #isStopping = false;

  /** Owns the client. */
  constructor(
    options: ChaosProducerOptions,
    deps: { readonly client: LograftClient; readonly writer: HistoryWriter },
  ) {
    this.#options = options;
    this.#client = deps.client;
    this.#writer = deps.writer;
    this.#producer = deps.client.producer({
      acks: "all",
      lingerMs: 2,
      deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
    });
    this.#running = this.#run();
  }

  /** Begins nothing new; resolves when every send has its outcome. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    await Promise.all(this.#open);
    await this.#client.close();
  }

  /** Torn down with sends on the way: nobody will ever know of some of them. */
  async crash(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    const open = this.#writer.invoke("crash");
    await this.#producer.close({ timeoutMs: 1 }).catch(() => undefined);
    await Promise.all(this.#open);
    await this.#client.close().catch(() => undefined);
    this.#writer.complete(open, "ok");
  }

  async #run(): Promise<void> {
    // Counted from one moment for all producers, so that those who take turns stay in step.
    const due = (): number => Math.floor((performance.now() / 1000) * this.#options.perSecond);
    let sent = due();
    while (!this.#isStopping) {
      const end = due();
      // What a blocked producer could not send is left out, or it would come as one flood afterwards.
      for (; sent < end && this.#open.size < MAX_OPEN; sent++) this.#send(sent);
      sent = end;
      await sleep(TICK_MS);
    }
  }

  #send(slot: number): void {
    const { run } = this.#options;
    const key = this.#keyOf(slot);
    if (key === undefined) return;
    const value = `${run}.${this.#writer.process}.${this.#counter++}`;
    const sequence = this.#sequences.get(key.name) ?? 0;
    this.#sequences.set(key.name, sequence + 1);
    const open = this.#writer.invoke("send", [["send", key.name, value]]);
    const session = this.#writer.process;
    const body = encodeBody({ value, key: key.name, session, sequence, sentAt: open.invokedAt }, PADDING);
    const done: Promise<void> = this.#producer
      .send(key.topic, { value: body, partition: key.partition })
      .then(
        (ack) => this.#acknowledged(open, key, value, ack),
        (error: unknown) => this.#failed(open, key, value, error),
      )
      .finally(() => this.#open.delete(done));
    this.#open.add(done);
  }

  #keyOf(slot: number): Key | undefined {
    const { random, keys, turn } = this.#options;
    if (turn !== undefined) return keys[keyInTurn(slot, turn, keys.length)];
    return random.fraction() < HOT_SHARE ? keys[0] : keys[random.below(keys.length)];
  }

  #acknowledged(open: OpenOperation, key: Key, value: string, { offset, leaderEpoch }: RecordAck): void {
    this.#writer.complete(open, "ok", { mops: [["send", key.name, offset, value]], le: leaderEpoch });
  }

  #failed(open: OpenOperation, key: Key, value: string, error: unknown): void {
    const code = isLograftError(error) ? error.code : "UNKNOWN";
    const isCertain = error instanceof DeliveryError && error.outcome === "failed" && isDefiniteError(code);
    const outcome: Outcome = isCertain ? "fail" : "info";
    this.#writer.complete(open, outcome, { mops: [["send", key.name, -1, value]], err: code });
  }
}
