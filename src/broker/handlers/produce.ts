import { Deferred } from "../../base/deferred.ts";
import { failure } from "../../controller/result.ts";
import type { ItemOutcome } from "../../controller/result.ts";
import { settledReplicas } from "../../metadata/image.ts";
import { NO_NODE } from "../../model/ids.ts";
import { requiredInSync } from "../../model/insync.ts";
import type { NodeId } from "../../model/ids.ts";
import { BATCH_HEADER_BYTES, isTransactionalBatch } from "../../model/record-batch.ts";
import type { AppendResult } from "../../log/log-appender.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { BrokerSabotage } from "../broker-options.ts";
import type { LeaderRole } from "../leader-role.ts";
import type { PartitionStore } from "../log-store.ts";
import { internalTopicRefusal, leadershipRefusal, outcomeOfError, unknownPartition } from "../outcome.ts";
import type { PartitionRef } from "../outcome.ts";
import type { PartitionTable } from "../partition-table.ts";
import type { Partition } from "../partition.ts";
import { RequestMeter } from "../request-meter.ts";

/** What a producer sends for one partition. */
export interface ProducePartition extends PartitionRef {
  /** -1: not known. */
  readonly leaderEpoch: number;
  /** One batch. Ownership passes to the broker, which patches and keeps it. */
  readonly records: Buffer;
}

export interface ProduceCall {
  /** 0: nothing is promised; 1: the leader has it; -1: all in-sync replicas, at least min.insync.replicas of them. */
  readonly acks: -1 | 0 | 1;
  /** 0: 30 seconds. */
  readonly timeoutMs: number;
  readonly partitions: readonly ProducePartition[];
}

/** What the broker promises about an appended batch. */
export interface ProduceResult extends PartitionRef, ItemOutcome {
  /** -1 on an error, and with acks=0. */
  readonly baseOffset: number;
  /** -1 unless the topic stamps records itself. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
  readonly leaderEpoch: number;
  readonly durability: "none" | "written" | "synced";
  /** That hold the batch with this durability, the leader included. */
  readonly replicas: number;
  /** These very records were there already. */
  readonly duplicate: boolean;
  /** Who to ask instead; -1: not known. */
  readonly leaderId: number;
}

export interface ProduceDeps {
  readonly table: PartitionTable;
  readonly clock: Clock;
  /** The controller has been silent for a session: it may have made another broker the leader (H31). */
  readonly isContactLost: () => boolean;
  /** Left out: nobody asks. */
  readonly requests?: RequestMeter;
}

type Appended = Extract<AppendResult, { ok: true }>;

const DEFAULT_TIMEOUT_MS = 30_000;
/** The name of all ways of producing in metrics. */
const API = "Produce";

/**
 * Appends what producers send. The check and the append happen in one turn (H31, H56); the answer waits until the batch
 * is as durable as its topic promises. One call's batches for one partition, and the calls of one caller, are appended
 * in the order of the calls, even while the log is being opened.
 */
export class ProduceHandler {
  readonly #nodeId: NodeId;
  readonly #table: PartitionTable;
  readonly #clock: Clock;
  readonly #isContactLost: () => boolean;
  readonly #requests: RequestMeter;
  /** For tests, which must notice it: acks=all is answered as acks=1 is. */
  readonly #isEarly: boolean;
  /** The same for duplicates alone. */
  readonly #isDuplicateEarly: boolean;

  constructor(
    options: { readonly nodeId: NodeId; readonly sabotage?: BrokerSabotage | undefined },
    deps: ProduceDeps,
  ) {
    this.#nodeId = options.nodeId;
    this.#isEarly = options.sabotage === "answerBeforeCommit";
    this.#isDuplicateEarly = options.sabotage === "answerDuplicateEarly";
    this.#table = deps.table;
    this.#clock = deps.clock;
    this.#isContactLost = deps.isContactLost;
    this.#requests = deps.requests ?? new RequestMeter();
  }

  /** One result for each partition of the call, in its order. Never rejects. */
  produce(call: ProduceCall): Promise<readonly ProduceResult[]> {
    const run = new ProduceRun(call, { clock: this.#clock, requests: this.#requests });
    for (const [position, item] of call.partitions.entries()) this.#start(run, position, item);
    return run.finish();
  }

  #start(run: ProduceRun, position: number, item: ProducePartition): void {
    const { acks } = run.call;
    if (acks !== 0 && acks !== 1 && acks !== -1) {
      run.settle(position, refusedResult(item, undefined, invalidAcks(acks)));
      return;
    }
    const partition = this.#table.find(item.topic, item.partition);
    if (partition === undefined) {
      run.settle(position, refusedResult(item, undefined, unknownPartition(item)));
      return;
    }
    const { log } = partition;
    if (log !== undefined) {
      this.#append(run, position, item, partition, log);
      return;
    }
    // Before its log is opened: a broker makes no log of a partition that another one leads.
    const refusal = this.#refusal(item, partition, acks);
    if (refusal !== undefined) {
      run.settle(position, refusedResult(item, partition, refusal));
      return;
    }
    partition.withLog((opened) => {
      if (opened.ok) this.#append(run, position, item, partition, opened.log);
      else run.settle(position, refusedResult(item, partition, outcomeOfError(opened.error)));
    });
  }

  #append(
    run: ProduceRun,
    position: number,
    item: ProducePartition,
    partition: Partition,
    log: PartitionStore,
  ): void {
    const { acks } = run.call;
    // The caller was told that the time is over; appending now would only make a duplicate of its retry.
    if (run.isSettled(position)) return;
    const refusal = this.#refusal(item, partition, acks);
    if (refusal !== undefined) {
      run.settle(position, refusedResult(item, partition, refusal));
      return;
    }
    const { leaderRole, image } = partition;
    const { leaderEpoch } = image;
    if (leaderRole === undefined && partition.isReplicated) {
      // Its log is still being cut as the leader before wanted it.
      run.settle(position, refusedResult(item, partition, notLeadingYet(partition, this.#nodeId)));
      return;
    }
    const appended = log.append(item.records, { leaderEpoch, origin: "client" });
    if (appended.ok && !appended.duplicate) {
      partition.traffic.received(appended.endOffset - appended.baseOffset, item.records.length);
    }
    if (!appended.ok) {
      run.settle(position, refusedResult(item, partition, failure(appended.error, appended.message)));
    } else if (acks === 0) {
      // Its failure is of interest to the log, which then goes offline and says so, and to no caller.
      appended.done.catch(() => undefined);
      run.settle(position, acceptedResult(item, partition, log, appended, "none"));
    } else {
      const isEarly = this.#isEarly || (this.#isDuplicateEarly && appended.duplicate);
      const isForAll = acks === -1 && leaderRole !== undefined && !isEarly;
      const complete = (): void =>
        run.settle(position, this.#completed(item, partition, log, appended, acks));
      appended.done.then(
        () => {
          run.storedHere();
          if (!isForAll) complete();
        },
        (error: unknown) => {
          const isLost = leadershipRefusal(partition, -1, this.#nodeId) !== undefined;
          const outcome = isLost ? lostLeadership(partition, this.#nodeId) : outcomeOfError(error);
          run.settle(position, refusedResult(item, partition, outcome));
        },
      );
      if (isForAll) this.#awaitCommit(run, position, item, partition, leaderRole, appended, complete);
    }
  }

  /** Until every in-sync replica has it; the own disk is one of them. */
  #awaitCommit(
    run: ProduceRun,
    position: number,
    item: ProducePartition,
    partition: Partition,
    role: LeaderRole,
    appended: Appended,
    complete: () => void,
  ): void {
    run.atExpiry(position, () => this.#tooFewReplicas(partition, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"));
    role.whenCommitted(appended.endOffset, (isCommitted) => {
      if (isCommitted) complete();
      else run.settle(position, refusedResult(item, partition, lostLeadership(partition, this.#nodeId)));
    });
  }

  #refusal(item: ProducePartition, partition: Partition, acks: number): ItemOutcome | undefined {
    const refusal =
      internalTopicRefusal(item.topic) ?? leadershipRefusal(partition, item.leaderEpoch, this.#nodeId);
    if (refusal !== undefined) return refusal;
    if (this.#isContactLost()) {
      return failure(
        "NOT_LEADER_OR_FOLLOWER",
        `broker ${this.#nodeId} has lost its controller, so another may lead ${item.topic}-${item.partition} by now; ` +
          "nothing was written. Try again; see: lograft cluster quorum",
      );
    }
    if (item.records.length >= BATCH_HEADER_BYTES && isTransactionalBatch(item.records)) {
      return failure(
        "INVALID_TXN_STATE",
        `a transactional batch for ${item.topic}-${item.partition} belongs to no transaction: this cluster has none`,
      );
    }
    return acks === -1 ? this.#tooFewReplicas(partition, "NOT_ENOUGH_REPLICAS") : undefined;
  }

  /** The second half of the check (H37): replicas may have left between the append and the sync. */
  #completed(
    item: ProducePartition,
    partition: Partition,
    log: PartitionStore,
    appended: Appended,
    acks: number,
  ): ProduceResult {
    // A duplicate may come from an epoch before; what was appended now is promised by the leader of that epoch only.
    const leaderEpoch = appended.duplicate ? -1 : appended.leaderEpoch;
    const isLost = leadershipRefusal(partition, leaderEpoch, this.#nodeId) !== undefined;
    const tooFew =
      acks === -1 ? this.#tooFewReplicas(partition, "NOT_ENOUGH_REPLICAS_AFTER_APPEND") : undefined;
    const refusal = isLost ? lostLeadership(partition, this.#nodeId) : tooFew;
    if (refusal !== undefined) return refusedResult(item, partition, refusal);
    const replicas = acks === -1 ? partition.image.isr.length : 1;
    return acceptedResult(item, partition, log, appended, appended.durability, replicas);
  }

  #tooFewReplicas(
    partition: Partition,
    error: "NOT_ENOUGH_REPLICAS" | "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  ): ItemOutcome | undefined {
    const { isr, replicas } = partition.image;
    const setting = this.#table.topic(partition.topic)?.config.minInsyncReplicas ?? 0;
    const wanted = requiredInSync(setting, settledReplicas(partition.image));
    const { length } = isr;
    if (length >= wanted) return undefined;
    const after = error === "NOT_ENOUGH_REPLICAS" ? "nothing was written" : "it was written and may stay";
    return failure(
      error,
      `${partition.topic}-${partition.partition} has ${length} in-sync of ${replicas.length} replicas, ` +
        `acks=all needs min.insync.replicas=${wanted}; ${after}; start the missing brokers or lower the setting`,
    );
  }
}

/** One call on its way: which results are there, and what it waits for. */
class ProduceRun {
  readonly call: ProduceCall;
  readonly #clock: Clock;
  readonly #requests: RequestMeter;
  readonly #startMs: number;
  readonly #results: (ProduceResult | undefined)[];
  readonly #done = new Deferred<readonly ProduceResult[]>();
  /** By position: what is known by then of why there is no answer. */
  readonly #reasons = new Map<number, () => ItemOutcome | undefined>();
  #missing: number;
  #timer: Timer | undefined;
  /** When this broker's disk had the last batch that it has. */
  #storedMs: number | undefined;

  constructor(call: ProduceCall, deps: { readonly clock: Clock; readonly requests: RequestMeter }) {
    this.call = call;
    this.#clock = deps.clock;
    this.#requests = deps.requests;
    this.#startMs = deps.clock.monotonicMs();
    this.#missing = call.partitions.length;
    this.#results = call.partitions.map(() => undefined);
  }

  /** A batch of it is as durable on this broker as its topic promises. */
  storedHere(): void {
    this.#storedMs = this.#clock.monotonicMs();
  }

  isSettled(position: number): boolean {
    return this.#results[position] !== undefined;
  }

  settle(position: number, result: ProduceResult): void {
    if (this.#results[position] !== undefined) return; // Its time was over before.
    this.#results[position] = result;
    this.#missing--;
    if (this.#missing === 0) this.#resolve();
  }

  /** When the time is over first, `reason` may say more than that. */
  atExpiry(position: number, reason: () => ItemOutcome | undefined): void {
    this.#reasons.set(position, reason);
  }

  finish(): Promise<readonly ProduceResult[]> {
    if (this.#missing === 0) {
      this.#resolve();
    } else {
      const timeoutMs = this.call.timeoutMs > 0 ? this.call.timeoutMs : DEFAULT_TIMEOUT_MS;
      this.#timer = this.#clock.setTimer(timeoutMs, () => this.#expire(timeoutMs));
    }
    return this.#done.promise;
  }

  #expire(timeoutMs: number): void {
    for (const [position, item] of this.call.partitions.entries()) {
      if (this.isSettled(position)) continue;
      const text = `${item.topic}-${item.partition} gave no answer within ${timeoutMs} ms; the batch may be there or not`;
      const outcome = this.#reasons.get(position)?.() ?? failure("REQUEST_TIMED_OUT", text);
      this.settle(position, refusedResult(item, undefined, outcome));
    }
  }

  #resolve(): void {
    if (this.#done.isSettled) return;
    this.#timer?.cancel();
    const results = this.#results.filter((result) => result !== undefined);
    this.#measure(results.find(({ error }) => error !== "NONE")?.error ?? "NONE");
    this.#done.resolve(results);
  }

  #measure(code: string): void {
    const nowMs = this.#clock.monotonicMs();
    this.#requests.count(API, code);
    this.#requests.observe(API, "total", nowMs - this.#startMs);
    if (this.#storedMs === undefined) return;
    this.#requests.observe(API, "local", this.#storedMs - this.#startMs);
    if (this.call.acks === -1) this.#requests.observe(API, "replication", nowMs - this.#storedMs);
  }
}

function acceptedResult(
  item: ProducePartition,
  partition: Partition,
  log: PartitionStore,
  appended: Appended,
  durability: ProduceResult["durability"],
  replicas = 0,
): ProduceResult {
  const isPromised = durability !== "none";
  return {
    topic: item.topic,
    partition: item.partition,
    error: "NONE",
    errorMessage: "",
    baseOffset: isPromised ? appended.baseOffset : -1,
    logAppendTimeMs: appended.logAppendTimeMs,
    logStartOffset: log.logStartOffset,
    leaderEpoch: appended.leaderEpoch,
    durability,
    replicas,
    duplicate: appended.duplicate,
    leaderId: partition.image.leader,
  };
}

function refusedResult(
  item: PartitionRef,
  partition: Partition | undefined,
  outcome: ItemOutcome,
): ProduceResult {
  return {
    topic: item.topic,
    partition: item.partition,
    error: outcome.error,
    errorMessage: outcome.errorMessage,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: partition?.openLog?.logStartOffset ?? 0,
    leaderEpoch: partition?.image.leaderEpoch ?? -1,
    durability: "none",
    replicas: 0,
    duplicate: false,
    leaderId: partition?.image.leader ?? NO_NODE,
  };
}

function notLeadingYet({ topic, partition }: Partition, nodeId: NodeId): ItemOutcome {
  return failure(
    "NOT_LEADER_OR_FOLLOWER",
    `broker ${nodeId} is about to lead ${topic}-${partition}; nothing was written. Try again`,
  );
}

/**
 * Not by the names of a leader that is none: those say that nothing was written, and this batch may have reached replicas
 * that keep it.
 */
function lostLeadership({ topic, partition }: Partition, nodeId: NodeId): ItemOutcome {
  return failure(
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    `broker ${nodeId} lost the leadership of ${topic}-${partition} before enough replicas had the batch; it may stay`,
  );
}

function invalidAcks(acks: number): ItemOutcome {
  return failure(
    "INVALID_REQUIRED_ACKS",
    `acks=${acks} is not 0 (none), 1 (the leader) or -1 (all in-sync replicas)`,
  );
}
