import { DeliveryError, isLograftError } from "../client/index.ts";
import type { LograftClient, Producer, RecordAck } from "../client/index.ts";
import type { Outcome } from "../history/history-line.ts";
import { isDefiniteError } from "../history/outcome.ts";
import { encodeBody } from "../history/record-body.ts";
import type { Random } from "../platform/random.ts";
import type { MarkerCounts } from "./markers.ts";
import type { SimClock } from "./sim-clock.ts";
import type { DataKey } from "./sim-client.ts";
import type { SimHistory } from "./sim-history.ts";

export interface SdkProducerOptions {
  readonly keys: readonly DataKey[];
  readonly isIdempotent: boolean;
  readonly meanGapMs: number;
  readonly deliveryTimeoutMs: number;
}

export interface SdkProducerDeps {
  /** Closed when all is answered. */
  readonly client: LograftClient;
  readonly clock: SimClock;
  readonly nowNs: () => number;
  readonly random: Random;
  readonly history: SimHistory;
  readonly markers: MarkerCounts;
  /** Records below `endOffset` were acknowledged with acks=all. */
  readonly onAcknowledged: (key: DataKey, endOffset: number) => void;
  /** Something that no fault explains. */
  readonly onBug: (error: unknown) => void;
}

const SEND = "send";
/** An application that waits for its answers when it has many to wait for. */
const MAX_OPEN = 60;

/** An application with the SDK's producer, acks=all: sends record after record and notes what becomes of each. */
export class SdkProducer {
  readonly #options: SdkProducerOptions;
  readonly #deps: SdkProducerDeps;
  readonly #producer: Producer;
  readonly #sequences = new Map<string, number>();
  readonly #open = new Set<Promise<void>>();
  #counter = 0;
  #isOver = false;

  constructor(options: SdkProducerOptions, deps: SdkProducerDeps) {
    this.#options = options;
    this.#deps = deps;
    const { isIdempotent: idempotent, deliveryTimeoutMs } = options;
    this.#producer = deps.client.producer({ acks: "all", idempotent, lingerMs: 10, deliveryTimeoutMs });
  }

  /** Records without an answer. */
  get pendingCount(): number {
    return this.#open.size;
  }

  /** Sends until `end`, then waits for what is on its way. */
  async run(): Promise<void> {
    const { clock, random, client } = this.#deps;
    while (!this.#isOver) {
      await clock.sleep(random.fraction() * 2 * this.#options.meanGapMs);
      // A few at a time now and then, so that batches have several records.
      const count = random.fraction() < 0.3 ? 1 + random.below(5) : 1;
      for (let n = 0; n < count && this.#open.size < MAX_OPEN && !this.#isOver; n++) this.#send();
    }
    await Promise.all(this.#open);
    await client.close();
  }

  /** What is on its way is brought to its end. */
  end(): void {
    this.#isOver = true;
  }

  #send(): void {
    const { random, history, nowNs } = this.#deps;
    const key = this.#options.keys[random.below(this.#options.keys.length)];
    if (key === undefined) return;
    const { process } = history;
    const value = `${process}.${this.#counter++}`;
    const sequence = this.#sequences.get(key.name) ?? 0;
    this.#sequences.set(key.name, sequence + 1);
    const complete = history.invoke(SEND, [[SEND, key.name, value]]);
    const body = encodeBody({ value, key: key.name, session: process, sequence, sentAt: nowNs() });
    const done: Promise<void> = this.#producer
      .send(key.topic, { value: body, partition: key.partition })
      .then(
        (ack) => this.#acknowledged(complete, key, value, ack),
        (error: unknown) => this.#failed(complete, key, value, error),
      )
      .catch(this.#deps.onBug)
      .finally(() => this.#open.delete(done));
    this.#open.add(done);
  }

  #acknowledged(
    complete: ReturnType<SimHistory["invoke"]>,
    key: DataKey,
    value: string,
    { offset, leaderEpoch }: RecordAck,
  ): void {
    this.#deps.markers.hit("batchAcknowledged");
    if (offset >= 0) this.#deps.onAcknowledged(key, offset + 1);
    const epoch = leaderEpoch < 0 ? {} : { le: leaderEpoch };
    complete("ok", {
      mops: [offset < 0 ? [SEND, key.name, value] : [SEND, key.name, offset, value]],
      ...epoch,
    });
  }

  #failed(complete: ReturnType<SimHistory["invoke"]>, key: DataKey, value: string, error: unknown): void {
    if (!isLograftError(error)) throw error;
    this.#deps.markers.hit("sendGivenUp");
    const isCertain =
      error instanceof DeliveryError && error.outcome === "failed" && isDefiniteError(error.code);
    const outcome: Outcome = isCertain ? "fail" : "info";
    complete(outcome, { mops: [[SEND, key.name, value]], err: error.code });
  }
}
