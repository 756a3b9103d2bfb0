import { operationError, type LograftError } from "../base/errors.ts";
import { errorNameOf, isRetriable, refreshesMetadata, type ErrorName } from "../model/error-code.ts";
import type { Timer } from "../platform/clock.ts";
import { DURABILITY, type ProducePartitionResult } from "../rpc/messages.ts";
import type { ClientContext } from "./client-context.ts";
import { DeliveryError, type DeliveryOutcome } from "./errors.ts";
import type { PartitionBatch, PartitionLane, PartitionQueue } from "./partition-queue.ts";
import { ProduceLane, type ProduceLaneListener } from "./produce-lane.ts";
import { ProducerSessions, type SessionListener } from "./producer-sessions.ts";
import type { RecordAck, ResolvedProducerOptions } from "./producer-types.ts";

/** Hears that a batch is over; `error` is undefined when it was acknowledged. */
export type BatchResolved = (batch: PartitionBatch, error: DeliveryError | undefined) => void;

/** Errors after which the records may be in the log: they can come after the append (H77). */
const INDEFINITE: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "KAFKA_STORAGE_ERROR",
  "NETWORK_EXCEPTION",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "NOT_LEADER_OR_FOLLOWER",
  "REQUEST_TIMED_OUT",
  "UNKNOWN_SERVER_ERROR",
]);

/** The broker does not accept the sequence; the batch was not written by this attempt. */
const SEQUENCE_ERRORS: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "INVALID_PRODUCER_EPOCH",
  "INVALID_PRODUCER_ID_MAPPING",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
]);

const DURABILITY_NAMES: Readonly<Record<number, RecordAck["durability"]>> = {
  [DURABILITY.WRITTEN]: "written",
  [DURABILITY.SYNCED]: "synced",
};

/**
 * Takes finished batches to the leaders of their partitions and decides what each answer means: done, again, or failed
 * for good. The delivery timeout bounds all attempts of a batch together.
 */
export class Sender implements ProduceLaneListener, SessionListener {
  readonly #options: ResolvedProducerOptions;
  readonly #context: ClientContext;
  readonly #onResolved: BatchResolved;
  readonly #sessions: ProducerSessions;
  readonly #lanes = new Map<string, ProduceLane>();
  /** Batches without a verdict, by creation and so by deadline. */
  readonly #unresolved = new Set<PartitionBatch>();
  /** Ready, but without a known leader or a producer id. */
  readonly #unrouted = new Set<PartitionQueue>();
  readonly #muted = new Set<PartitionQueue>();
  readonly #stopListening: () => void;
  #expiryTimer: Timer | undefined;
  #isClosed = false;

  constructor(
    options: ResolvedProducerOptions,
    deps: { readonly context: ClientContext; readonly onResolved: BatchResolved },
  ) {
    this.#options = options;
    this.#context = deps.context;
    this.#onResolved = deps.onResolved;
    this.#sessions = new ProducerSessions(options, { context: deps.context, listener: this });
    this.#stopListening = deps.context.metadata.onUpdate(() => this.#reroute());
  }

  get unresolved(): ReadonlySet<PartitionBatch> {
    return this.#unresolved;
  }

  /** Owns the verdict on a batch from its first record on. */
  track(batch: PartitionBatch): void {
    this.#unresolved.add(batch);
    if (this.#expiryTimer === undefined) this.#armExpiry();
  }

  /** The partition may have something to send. It goes out with the next `pump`. */
  offer(partition: PartitionQueue): void {
    if (this.#isClosed || !partition.isReady) return;
    if (partition.needsSession) {
      const session = this.#sessions.get();
      if (session === undefined) {
        this.#unrouted.add(partition);
        return;
      }
      partition.beginSession(session);
    }
    // What is in flight must be answered before another broker gets what follows, or it could overtake.
    const lane: PartitionLane | undefined =
      partition.inFlightCount > 0 ? partition.lane : this.#laneOf(partition);
    if (lane === undefined) {
      this.#unrouted.add(partition);
      this.#context.metadata.requestUpdate();
      return;
    }
    this.#unrouted.delete(partition);
    if (partition.lane !== lane) partition.lane?.ready.delete(partition);
    partition.lane = lane;
    lane.ready.add(partition);
  }

  /** Sends what was offered. */
  pump(): void {
    for (const lane of this.#lanes.values()) lane.pump();
  }

  /** Gives up all that has no verdict, with CLOSED, and ends streams and timers. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const batch of this.#unresolved) {
      this.#giveUp(batch, "CLOSED", "the producer was closed before the broker answered");
    }
    this.#stopListening();
    this.#sessions.close();
    this.#expiryTimer?.cancel();
    for (const partition of this.#muted) partition.muteTimer?.cancel();
    for (const lane of this.#lanes.values()) lane.close();
  }

  onResult(batch: PartitionBatch, result: ProducePartitionResult | undefined): void {
    const { partition } = batch;
    if (batch.isResolved) {
      // Given up while it was in flight; only the place it held is of interest now.
      partition.settle(batch, false);
      this.offer(partition);
      return;
    }
    const name = result === undefined ? "NETWORK_EXCEPTION" : errorNameOf(result.errorCode);
    if (result !== undefined && refreshesMetadata(name))
      this.#context.metadata.learnLeader(partition, result);
    const message = result?.errorMessage ?? "the broker's answer left the partition out";
    if (name === "NONE" || name === "DUPLICATE_SEQUENCE_NUMBER") {
      this.#succeed(batch, name === "NONE" ? result : undefined);
    } else if (SEQUENCE_ERRORS.has(name) && this.#options.idempotent) {
      this.#onSequenceError(batch, name, message);
    } else {
      if (INDEFINITE.has(name)) batch.isIndefinite = true;
      if (isRetriable(name)) this.#retry(batch, name, message);
      else this.#fail(batch, name, message);
    }
    this.offer(partition);
  }

  onSent(batch: PartitionBatch): void {
    this.#succeed(batch, undefined);
    this.offer(batch.partition);
  }

  onLost(lane: ProduceLane, batches: readonly PartitionBatch[], error: LograftError): void {
    const partitions = new Set(batches.map((batch) => batch.partition));
    for (const batch of batches) {
      if (batch.isResolved) {
        batch.partition.settle(batch, false);
        continue;
      }
      batch.isIndefinite = true;
      if (error.retriable) this.#retry(batch, error.code, error.message);
      else this.#fail(batch, error.code, error.message);
    }
    if (!error.retriable) {
      for (const partition of lane.ready) {
        for (const batch of partition.unsent()) this.#fail(batch, error.code, error.message);
      }
    }
    this.#context.metadata.requestUpdate();
    for (const partition of partitions) this.offer(partition);
  }

  onSession(): void {
    this.#reroute();
  }

  onSessionRefused(error: LograftError): void {
    for (const partition of this.#unrouted) {
      if (!partition.needsSession) continue;
      for (const batch of partition.unsent())
        this.#fail(batch, error.code, `no producer id: ${error.message}`);
    }
  }

  #laneOf({ topic, partition }: PartitionQueue): ProduceLane | undefined {
    const { metadata } = this.#context;
    const leaderId = metadata.topic(topic)?.partitions[partition]?.leaderId ?? -1;
    const address = leaderId < 0 ? undefined : metadata.addressOf(leaderId);
    if (address === undefined) return undefined;
    let lane = this.#lanes.get(address);
    if (lane === undefined) {
      lane = new ProduceLane(
        { address, producer: this.#options },
        { context: this.#context, listener: this },
      );
      this.#lanes.set(address, lane);
    }
    return lane;
  }

  /** Leaders or the session may have changed: everything that waits is looked at again. */
  #reroute(): void {
    const partitions = new Set(this.#unrouted);
    this.#unrouted.clear();
    for (const lane of this.#lanes.values()) for (const partition of lane.ready) partitions.add(partition);
    for (const partition of partitions) this.offer(partition);
    const addresses = this.#context.metadata.candidates();
    for (const [address, lane] of this.#lanes) {
      if (lane.ready.size > 0 || lane.unansweredBytes > 0 || addresses.includes(address)) continue;
      lane.close();
      this.#lanes.delete(address);
    }
    this.pump();
  }

  #succeed(batch: PartitionBatch, result: ProducePartitionResult | undefined): void {
    const { partition, waiters } = batch;
    partition.settle(batch, false);
    partition.backoff.reset();
    if (waiters !== undefined) {
      const baseOffset = result?.baseOffset ?? -1;
      const appendTimeMs = result?.logAppendTimeMs ?? -1;
      for (const waiter of waiters) {
        waiter.resolve({
          topic: partition.topic,
          partition: partition.partition,
          offset: baseOffset < 0 ? -1 : baseOffset + waiter.index,
          leaderEpoch: result?.leaderEpoch ?? -1,
          durability: DURABILITY_NAMES[result?.durability ?? 0] ?? "none",
          replicas: result?.replicas ?? 0,
          timestamp: appendTimeMs > 0 ? appendTimeMs : waiter.timestamp,
        });
      }
    }
    this.#resolve(batch, undefined);
  }

  #retry(batch: PartitionBatch, code: string, message: string): void {
    batch.lastError = { name: code, message };
    batch.partition.requeue(batch);
    this.#mute(batch.partition);
    if (this.#isLedElsewhere(batch.partition)) this.#unmute(batch.partition);
    const name = code as ErrorName;
    // Too few replicas are also those of a leader that is none any more.
    const mayBeDeposed = name === "UNKNOWN_LEADER_EPOCH" || name === "NOT_ENOUGH_REPLICAS_AFTER_APPEND";
    if (refreshesMetadata(name) || mayBeDeposed) this.#context.metadata.requestUpdate();
  }

  /**
   * A refused sequence. With an older batch unsettled that one is the cause, and both go again in order. Otherwise the
   * broker has lost the thread: what it surely did not write gets a new session, what it may have written fails.
   */
  #onSequenceError(batch: PartitionBatch, name: ErrorName, message: string): void {
    const { partition } = batch;
    if (!partition.hasOlderUnsettled(batch)) {
      if (batch.isIndefinite) {
        this.#fail(batch, name, message);
        return;
      }
      this.#loseSession(batch);
    }
    this.#retry(batch, name, message);
  }

  #fail(batch: PartitionBatch, code: string, message: string): void {
    if (batch.isResolved) return;
    const outcome: DeliveryOutcome = batch.isIndefinite ? "unknown" : "failed";
    const isSequenceLost = this.#options.idempotent && batch.session !== undefined;
    if (isSequenceLost) this.#loseSession(batch);
    batch.partition.settle(batch, isSequenceLost);
    this.#reject(batch, code, message, outcome);
  }

  /** The application has waited long enough. A batch in flight keeps its place until its answer or the stream's end. */
  #giveUp(batch: PartitionBatch, code: string, message: string): void {
    if (!batch.partition.isInFlight(batch)) {
      this.#fail(batch, code, message);
      return;
    }
    batch.isIndefinite = true;
    if (batch.session !== undefined) this.#loseSession(batch);
    this.#reject(batch, code, message, "unknown");
  }

  #loseSession(batch: PartitionBatch): void {
    if (batch.session === undefined) return;
    this.#sessions.retire(batch.session);
    batch.partition.loseSession(batch);
  }

  #reject(batch: PartitionBatch, code: string, message: string, outcome: DeliveryOutcome): void {
    const { topic, partition } = batch.partition;
    const error = new DeliveryError(code, `${topic}-${partition}: ${message}`, {
      outcome,
      topic,
      partition,
      recordCount: batch.recordCount,
      context: {
        attempts: batch.attempts,
        ...(batch.requestId === undefined ? {} : { requestId: batch.requestId }),
      },
      ...(batch.lastError === undefined
        ? {}
        : {
            cause: operationError(
              "ABORTED",
              `last attempt: ${batch.lastError.name}: ${batch.lastError.message}`,
            ),
          }),
    });
    batch.abandon();
    if (batch.waiters !== undefined) for (const waiter of batch.waiters) waiter.reject(error);
    this.#resolve(batch, error);
  }

  #resolve(batch: PartitionBatch, error: DeliveryError | undefined): void {
    batch.isResolved = true;
    this.#unresolved.delete(batch);
    this.#onResolved(batch, error);
  }

  /** Nothing is left on its way to the broker that it was sent to, and another one is known to lead: no need to wait. */
  #isLedElsewhere(partition: PartitionQueue): boolean {
    const lane = this.#laneOf(partition);
    return partition.inFlightCount === 0 && lane !== undefined && lane !== partition.lane;
  }

  #mute(partition: PartitionQueue): void {
    if (partition.muteTimer !== undefined || this.#isClosed) return;
    this.#muted.add(partition);
    partition.muteTimer = this.#context.clock.setTimer(partition.backoff.nextMs(), () =>
      this.#unmute(partition),
    );
  }

  #unmute(partition: PartitionQueue): void {
    partition.muteTimer?.cancel();
    partition.muteTimer = undefined;
    this.#muted.delete(partition);
    this.offer(partition);
    partition.lane?.pump();
  }

  #armExpiry(): void {
    this.#expiryTimer = undefined;
    const oldest = this.#unresolved.values().next().value;
    if (oldest === undefined || this.#isClosed) return;
    const waitMs = Math.max(0, oldest.deadlineMs - this.#context.clock.monotonicMs());
    this.#expiryTimer = this.#context.clock.setTimer(waitMs, () => {
      const nowMs = this.#context.clock.monotonicMs();
      for (const batch of this.#unresolved) {
        if (batch.deadlineMs > nowMs) break;
        const last =
          batch.lastError === undefined ? "no broker answered" : `last answer: ${batch.lastError.message}`;
        this.#giveUp(
          batch,
          "DELIVERY_TIMEOUT",
          `not acknowledged within ${this.#options.deliveryTimeoutMs} ms; ${last}`,
        );
        this.offer(batch.partition);
      }
      this.pump();
      this.#armExpiry();
    });
  }
}
