import { LograftError } from "../base/errors.ts";
import type { ProduceResult } from "../broker/handlers/produce.ts";
import type { Attempt, MicroOperation } from "../history/history-line.ts";
import { outcomeOf } from "../history/outcome.ts";
import { encodeBody } from "../history/record-body.ts";
import { BatchBuilder } from "../model/batch-builder.ts";
import type { ProducerEpoch, ProducerId } from "../model/offsets.ts";
import { mustHold } from "./invariants/violation.ts";
import type { MarkerCounts } from "./markers.ts";
import type { DataKey, SimClient } from "./sim-client.ts";
import type { SimHistory } from "./sim-history.ts";

export interface SimProducerOptions {
  readonly keys: readonly DataKey[];
  readonly isIdempotent: boolean;
  /** Batches of one partition on their way at once; without idempotence one, or retries change their order. */
  readonly maxInFlight: number;
  readonly meanGapMs: number;
  /** A batch that nobody takes for so long is given up, and with it the session. */
  readonly giveUpMs: number;
}

export interface SimProducerDeps {
  readonly client: SimClient;
  readonly history: SimHistory;
  readonly markers: MarkerCounts;
  /** Records below `endOffset` were acknowledged with acks=all. */
  readonly onAcknowledged: (key: DataKey, endOffset: number) => void;
  /** Something that no fault explains. */
  readonly onBug: (error: unknown) => void;
}

/** A producer id and how far its sequences are, until a batch of it is given up. */
interface Session {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly nextSequence: Map<string, number>;
  /** By partition: sequences below `end` were all acknowledged, the last of them in this leader epoch. */
  readonly acknowledged: Map<string, Acknowledged>;
  isOver: boolean;
}

interface Acknowledged {
  readonly end: number;
  readonly leaderEpoch: number;
}

interface Send {
  readonly key: DataKey;
  readonly session: Session | undefined;
  readonly sequence: number;
  readonly values: readonly string[];
  readonly batch: Buffer;
}

/** How a broker answered, or why it did not. */
interface Answer {
  readonly error: string;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly isDuplicate: boolean;
}

/** Shorter than what a broker waits, now and then, so that answers get lost that were on their way. */
const CALL_TIMEOUT_MS = 2_500;
const PRODUCE_TIMEOUT_MS = 2_000;
const WALL_START_MS = 1_767_225_600_000;
const MAX_RECORDS = 3;

/** A producer with acks=all: sends batch after batch, each again and again until it is acknowledged or given up. */
export class SimProducer {
  readonly #options: SimProducerOptions;
  readonly #deps: SimProducerDeps;
  readonly #builder = new BatchBuilder({ codec: "none", targetBytes: 16_384 });
  readonly #inFlight = new Map<string, number>();
  #session: Session | undefined;
  #counter = 0;
  #pending = 0;
  #isOver = false;

  constructor(options: SimProducerOptions, deps: SimProducerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Batches without an answer. */
  get pendingCount(): number {
    return this.#pending;
  }

  /** Sends until `end`. */
  async run(): Promise<void> {
    const { client } = this.#deps;
    const sends: Promise<void>[] = [];
    while (!this.#isOver) {
      await client.pause(0, 2 * this.#options.meanGapMs);
      const key = this.#options.keys[client.random.below(this.#options.keys.length)];
      if (key === undefined || (this.#inFlight.get(key.name) ?? 0) >= this.#options.maxInFlight) continue;
      const session = this.#options.isIdempotent ? await this.#openSession() : undefined;
      if (this.#isOver || (this.#options.isIdempotent && session === undefined)) continue;
      // A violation ends the run at once, not when all others have ended.
      sends.push(this.#send(key, session).catch(this.#deps.onBug));
    }
    await Promise.all(sends);
  }

  /** What is on its way is brought to its end. */
  end(): void {
    this.#isOver = true;
  }

  async #openSession(): Promise<Session | undefined> {
    if (this.#session?.isOver === false) return this.#session;
    const { client } = this.#deps;
    try {
      const machine = client.random.below(client.brokerCount);
      const { producerId, producerEpoch } = await client.call(
        machine,
        (broker) => broker.initProducer(),
        CALL_TIMEOUT_MS,
      );
      this.#session = {
        producerId,
        producerEpoch,
        nextSequence: new Map(),
        acknowledged: new Map(),
        isOver: false,
      };
      return this.#session;
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      return undefined;
    }
  }

  async #send(key: DataKey, session: Session | undefined): Promise<void> {
    const { name } = key;
    this.#pending++;
    this.#inFlight.set(name, (this.#inFlight.get(name) ?? 0) + 1);
    try {
      await this.#carry(this.#build(key, session));
    } finally {
      this.#pending--;
      this.#inFlight.set(name, (this.#inFlight.get(name) ?? 0) - 1);
    }
  }

  #build(key: DataKey, session: Session | undefined): Send {
    const { client, history } = this.#deps;
    const count = 1 + client.random.below(MAX_RECORDS);
    const sequence = session?.nextSequence.get(key.name) ?? 0;
    session?.nextSequence.set(key.name, sequence + count);
    const sentAt = client.nowNs();
    const values: string[] = [];
    for (let record = 0; record < count; record++) {
      const value = `${history.process}.${this.#counter++}`;
      values.push(value);
      const body = { value, key: key.name, session: session?.producerId ?? -1, sequence, sentAt };
      this.#builder.tryAppend(WALL_START_MS + Math.floor(sentAt / 1e6), null, encodeBody(body));
    }
    if (session !== undefined) {
      this.#builder.setProducer({
        producerId: session.producerId as ProducerId,
        producerEpoch: session.producerEpoch as ProducerEpoch,
        baseSequence: sequence,
        isTransactional: false,
      });
    }
    const batch = this.#builder.build();
    this.#builder.reset();
    return { key, session, sequence, values, batch };
  }

  async #carry(send: Send): Promise<void> {
    const { client, history, markers } = this.#deps;
    const { key, session, sequence, values } = send;
    const complete = history.invoke(
      "send",
      values.map((value) => ["send", key.name, value] as const),
    );
    const ids =
      session === undefined ? {} : { pid: session.producerId, ep: session.producerEpoch, seq: sequence };
    const giveUpNs = client.nowNs() + this.#options.giveUpMs * 1e6;
    const attempts: Attempt[] = [];
    for (;;) {
      const leader = client.leaderOf(key);
      if (leader !== undefined) {
        const startNs = client.nowNs();
        const known = session?.acknowledged.get(key.name);
        const result = await this.#tryOnce(send, leader);
        const { error } = result;
        // One who says that it is there already says no offset; it has been acknowledged all the same.
        const isDone = error === "NONE" || error === "DUPLICATE_SEQUENCE_NUMBER";
        attempts.push([leader.machine + 1, startNs, client.nowNs(), isDone ? null : error]);
        if (isDone) {
          const { leaderEpoch: le } = result;
          const mops = this.#acknowledged(send, result);
          complete("ok", { ...ids, mops, attempts, node: leader.machine + 1, ...(le < 0 ? {} : { le }) });
          if (result.isDuplicate) markers.hit("duplicateAnswered");
          return;
        }
        this.#checkSequence(send, result, known);
      }
      if (client.nowNs() > giveUpNs || session?.isOver === true) break;
      await client.pause(20, 250);
      await client.refresh(key.topic);
    }
    // Its sequences would be missing before those that come after: the session ends with it.
    if (session !== undefined) session.isOver = true;
    markers.hit("sendGivenUp");
    complete(outcomeOf({ type: "fail", attempts }), {
      ...ids,
      attempts,
      err: attempts.at(-1)?.[3] ?? "UNSENT",
    });
  }

  async #tryOnce(
    { key, batch }: Send,
    leader: { readonly machine: number; readonly leaderEpoch: number },
  ): Promise<Answer> {
    const { client } = this.#deps;
    const isEpochTold = client.random.fraction() < 0.7;
    // The broker keeps and patches the bytes that it is given.
    const item = {
      topic: key.topic,
      partition: key.partition,
      leaderEpoch: isEpochTold ? leader.leaderEpoch : -1,
      records: Buffer.from(batch),
    };
    try {
      const [result] = await client.call<readonly ProduceResult[]>(
        leader.machine,
        (broker) => broker.produce({ acks: -1, timeoutMs: PRODUCE_TIMEOUT_MS, partitions: [item] }),
        CALL_TIMEOUT_MS,
      );
      if (result === undefined) return noAnswer("NO_RESULT");
      const { error, baseOffset: offset, leaderEpoch, duplicate: isDuplicate } = result;
      return { error, offset, leaderEpoch, isDuplicate };
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      return noAnswer(String(error.code));
    }
  }

  #acknowledged({ key, session, sequence, values }: Send, { offset, leaderEpoch }: Answer): MicroOperation[] {
    this.#deps.markers.hit("batchAcknowledged");
    if (offset >= 0) this.#deps.onAcknowledged(key, offset + values.length);
    const before = session?.acknowledged.get(key.name);
    if ((before?.end ?? 0) === sequence) {
      const end = sequence + values.length;
      session?.acknowledged.set(key.name, {
        end,
        leaderEpoch: Math.max(leaderEpoch, before?.leaderEpoch ?? -1),
      });
    }
    return values.map((value, at) =>
      offset < 0 ? (["send", key.name, value] as const) : (["send", key.name, offset + at, value] as const),
    );
  }

  /**
   * What was acknowledged before a batch was sent, a leader of that epoch or a later one knows: it cannot miss what comes
   * before the batch (H53).
   */
  #checkSequence(
    { key, session, sequence }: Send,
    { error, leaderEpoch }: Answer,
    known: Acknowledged | undefined,
  ): void {
    const isRefused = error === "OUT_OF_ORDER_SEQUENCE_NUMBER" || error === "UNKNOWN_PRODUCER_ID";
    if (!isRefused || known === undefined || known.leaderEpoch > leaderEpoch) return;
    mustHold(
      known.end < sequence,
      "SequencesSurvive",
      "a leader does not know what was acknowledged to a producer",
      () => ({ key: key.name, error, producerId: session?.producerId, sequence, known, leaderEpoch }),
    );
  }
}

function noAnswer(error: string): Answer {
  return { error, offset: -1, leaderEpoch: -1, isDuplicate: false };
}
