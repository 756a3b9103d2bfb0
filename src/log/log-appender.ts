import { decodeMarkerBatch } from "../model/control-record.ts";
import type { ErrorName } from "../model/error-code.ts";
import { addOffset, NO_TIMESTAMP } from "../model/offsets.ts";
import type { LeaderEpoch, Offset, ProducerId, Timestamp } from "../model/offsets.ts";
import {
  baseOffsetOf,
  batchSizeOf,
  checkBatchHeader,
  isControlBatch,
  lastOffsetDeltaOf,
  lastOffsetOf,
  leaderEpochOf,
  patchBatch,
  producerEpochOf,
  producerIdOf,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import { validateProducedBatches } from "./batch-validator.ts";
import { mayFollow } from "./gaps.ts";
import type { LeaderGaps } from "./gaps.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";
import { rollMsOf } from "./log-config.ts";
import type { LogConfig } from "./log-config.ts";
import type { LogCore, Refusal } from "./log-core.ts";
import type { LogWriter } from "./log-writer.ts";
import { formatProducerSnapshot } from "./producer-snapshot.ts";
import { replayBatch } from "./producer-replay.ts";
import { ProducerState } from "./producer-state.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

/** Who wrote the batch. "coordinator": this broker itself, which may also append a transaction marker. */
export type AppendOrigin = "client" | "coordinator";

/** How an append was taken. */
export type AppendResult =
  | {
      readonly ok: true;
      readonly baseOffset: Offset;
      /** Exclusive. */
      readonly endOffset: Offset;
      /** -1 under CreateTime. */
      readonly logAppendTimeMs: Timestamp;
      /** The batch was here already: the offsets are those of the original. */
      readonly duplicate: boolean;
      readonly leaderEpoch: LeaderEpoch;
      /** What `done` will mean: on this replica's disk, or handed to the operating system. */
      readonly durability: "written" | "synced";
      /** Resolves when durable as the policy says; rejects with LograftError KAFKA_STORAGE_ERROR. */
      readonly done: Promise<void>;
    }
  | Refusal;

const MAX_INT32 = 0x7fffffff;
const NO_GAPS = 0 as Offset;
const DONE = Promise.resolve();
const NO_PRODUCERS = formatProducerSnapshot([]);

/** See `PartitionLog.append`. One synchronous section from the check of the sequence to the new end of the log (H56). */
export function appendProduced(
  core: LogCore,
  writer: LogWriter,
  records: Buffer,
  options: { readonly leaderEpoch: LeaderEpoch; readonly origin: AppendOrigin },
): AppendResult {
  const { config } = core;
  const blocked = refusal(core, records);
  if (blocked !== undefined) return blocked;
  if (records.length > config.segmentBytes) {
    return refuse(
      "RECORD_LIST_TOO_LARGE",
      `${records.length} bytes do not fit a segment; segment.bytes is ${config.segmentBytes}`,
    );
  }
  const { leaderEpoch, origin } = options;
  if (leaderEpoch < core.latestEpoch) {
    return refuse(
      "FENCED_LEADER_EPOCH",
      `leader epoch ${leaderEpoch} is below ${core.latestEpoch}, the log's latest`,
    );
  }
  const isMarker = origin === "coordinator" && records.length > 0 && isWholeControlBatch(records, config);
  let logAppendTimeMs: Timestamp = NO_TIMESTAMP;
  if (isMarker) {
    const fenced = checkMarker(core, records);
    if (fenced !== undefined) return fenced;
  } else {
    const batch = validateProducedBatches(records, {
      maxBatchBytes: config.maxMessageBytes,
      timestampType: config.timestampType,
      beforeMaxMs: config.timestampBeforeMaxMs,
      afterMaxMs: config.timestampAfterMaxMs,
      nowMs: core.deps.clock.wallMs(),
      compacted: config.isCompacting,
    });
    if (!batch.ok) return batch;
    logAppendTimeMs = batch.logAppendTimeMs;
    if (batch.producerId >= 0) {
      const decision = producersOf(core).check(batch);
      if (decision.kind === "refuse") return refuse(decision.error, decision.message);
      if (decision.kind === "duplicate") {
        const isKnown = core.deps.sabotage !== "windowOfOne" || isNewest(core, batch.producerId, decision);
        if (!isKnown) return refuse("OUT_OF_ORDER_SEQUENCE_NUMBER", "not behind its last batch");
        return duplicateOf(core, config, decision, leaderEpoch);
      }
    }
  }
  const baseOffset = core.nextOffset;
  const endOffset = addOffset(baseOffset, lastOffsetDeltaOf(records) + 1);
  const rollSnapshot = planRoll(core, config, records.length, endOffset, baseOffset);
  patchBatch(records, 0, baseOffset, leaderEpoch);
  noteEpoch(core, leaderEpoch, baseOffset);
  const aborted = noteProducers(core, records, 0);
  core.nextOffset = endOffset;
  const done = core.pendingQueue().push({
    records,
    baseOffset,
    endOffset,
    rollSnapshot,
    aborted: aborted === undefined ? undefined : [aborted],
    hasProducer: producerIdOf(records) >= 0,
  });
  writer.schedule();
  return {
    ok: true,
    baseOffset,
    endOffset,
    logAppendTimeMs,
    duplicate: false,
    leaderEpoch,
    durability: config.flushPolicy === "ack" ? "synced" : "written",
    done,
  };
}

/** What a leader says of the batches that it sends. */
export interface ReplicatedOptions {
  readonly leaderEpoch: LeaderEpoch;
  /** Undefined: they leave no offset out. */
  readonly gaps?: LeaderGaps | undefined;
}

/** See `PartitionLog.appendReplicated`. Everything is checked before anything changes (H42). */
export function appendReplicated(
  core: LogCore,
  writer: LogWriter,
  batches: Buffer,
  options: ReplicatedOptions,
): AppendResult {
  const { config } = core;
  const blocked = refusal(core, batches);
  if (blocked !== undefined) return blocked;
  const run = checkReplicated(core, batches, options);
  if ("error" in run) return run;
  const { endOffset, hasProducer } = run;
  if (run.hasGap && options.gaps !== undefined) core.wantGaps(options.gaps.below);
  const queue = core.pendingQueue();
  let done = DONE;
  let start = 0;
  let rollSnapshot: Buffer | undefined;
  let aborted: AbortedTransaction[] | undefined;
  const push = (end: number, pieceEnd: Offset): void => {
    const records = start === 0 && end === batches.length ? batches : batches.subarray(start, end);
    core.nextOffset = pieceEnd;
    const piece = {
      records,
      baseOffset: baseOffsetOf(records),
      endOffset: pieceEnd,
      rollSnapshot,
      aborted,
      hasProducer,
    };
    done = queue.push(piece);
  };
  let before = core.nextOffset;
  for (let at = 0; at < batches.length;) {
    const baseOffset = baseOffsetOf(batches, at);
    const sizeBytes = batchSizeOf(batches, at);
    const snapshot = planRoll(core, config, sizeBytes, addOffset(lastOffsetOf(batches, at), 1), baseOffset);
    if (snapshot !== undefined) {
      // A gap belongs to the segment of the batch behind it: each ends with a batch.
      if (at > 0) push(at, before);
      start = at;
      rollSnapshot = snapshot;
      aborted = undefined;
    }
    noteEpoch(core, leaderEpochOf(batches, at), baseOffset);
    const isKept = core.deps.sabotage !== "forgetProducers";
    const transaction = isKept ? noteProducers(core, batches, at) : undefined;
    if (transaction !== undefined) (aborted ??= []).push(transaction);
    before = addOffset(lastOffsetOf(batches, at), 1);
    at += sizeBytes;
  }
  push(batches.length, endOffset);
  writer.schedule();
  return {
    ok: true,
    baseOffset: baseOffsetOf(batches),
    endOffset,
    logAppendTimeMs: NO_TIMESTAMP,
    duplicate: false,
    leaderEpoch: core.latestEpoch,
    durability: config.flushPolicy === "ack" ? "synced" : "written",
    done,
  };
}

function refusal(core: LogCore, records: Buffer): Refusal | undefined {
  const unavailable = core.unavailable();
  if (unavailable !== undefined) return unavailable;
  if (core.barrier !== undefined) return refuse("KAFKA_STORAGE_ERROR", `${core.directory}: ${core.barrier}`);
  if (core.isRepairing) {
    return refuse(
      "KAFKA_STORAGE_ERROR",
      `${core.directory} is being repaired after a failed write; try again`,
    );
  }
  if (core.fullUntilMs > 0 && core.deps.clock.monotonicMs() < core.fullUntilMs) {
    return refuse(
      "KAFKA_STORAGE_ERROR",
      `the disk of ${core.directory} is full; free space, appends then go on by themselves`,
    );
  }
  const pendingBytes = core.queue?.pendingBytes ?? 0;
  const { maxPendingBytes } = core.deps.limits;
  if (pendingBytes > 0 && pendingBytes + records.length > maxPendingBytes) {
    return refuse(
      "THROTTLING_QUOTA_EXCEEDED",
      `${pendingBytes} bytes of this partition wait for the disk, the limit is ${maxPendingBytes}; send again later`,
    );
  }
  return undefined;
}

/** A marker was built by this broker; still nothing malformed may reach a log. */
function isWholeControlBatch(records: Buffer, config: LogConfig): boolean {
  const header = checkBatchHeader(records, 0, records.length, config.maxMessageBytes);
  return header.ok && header.size === records.length && isControlBatch(records) && verifyBatchCrc(records);
}

function checkMarker(core: LogCore, records: Buffer): Refusal | undefined {
  const marker = decodeMarkerBatch(records);
  if (marker === undefined) return undefined;
  const decision = producersOf(core).checkMarker(
    producerIdOf(records),
    producerEpochOf(records),
    marker.coordinatorEpoch,
  );
  return decision.kind === "refuse" ? refuse(decision.error, decision.message) : undefined;
}

interface ReplicatedRun {
  readonly endOffset: Offset;
  readonly hasProducer: boolean;
  readonly hasGap: boolean;
}

function checkReplicated(
  core: LogCore,
  batches: Buffer,
  { leaderEpoch: currentEpoch, gaps }: ReplicatedOptions,
): ReplicatedRun | Refusal {
  let expected = core.nextOffset;
  if (gaps !== undefined && gaps.from !== expected) {
    const message = `the leader sends what follows offset ${gaps.from} where ${expected} is expected`;
    return refuse("OFFSET_OUT_OF_RANGE", message);
  }
  let epoch = core.latestEpoch;
  let hasProducer = false;
  let hasGap = false;
  for (let at = 0; at < batches.length;) {
    const header = checkBatchHeader(batches, at, batches.length - at, MAX_INT32);
    if (!header.ok) return refuse("CORRUPT_MESSAGE", `the batch at byte ${at}: ${header.reason}`);
    const baseOffset = baseOffsetOf(batches, at);
    const batchEpoch = leaderEpochOf(batches, at);
    if (!verifyBatchCrc(batches, at)) {
      return refuse("CORRUPT_MESSAGE", `the batch at offset ${baseOffset} does not match its CRC-32C`);
    }
    const isInPlace =
      mayFollow(expected, baseOffset, gaps?.below ?? NO_GAPS) ||
      (at === 0 && holdsStart(core, baseOffset, lastOffsetOf(batches, at)));
    if (!isInPlace) {
      const message = `the batch begins at offset ${baseOffset} where ${expected} is expected`;
      return refuse("OFFSET_OUT_OF_RANGE", message);
    }
    if (batchEpoch < epoch || batchEpoch > currentEpoch) {
      return refuse(
        "CORRUPT_MESSAGE",
        `the batch at offset ${baseOffset} has leader epoch ${batchEpoch}, not in ${epoch} to ${currentEpoch}`,
      );
    }
    hasGap ||= baseOffset > expected;
    expected = addOffset(lastOffsetOf(batches, at), 1);
    epoch = batchEpoch;
    hasProducer ||= producerIdOf(batches, at) >= 0;
    at += header.size;
  }
  if (batches.length === 0) return refuse("INVALID_RECORD", "there is no batch");
  return { endOffset: expected, hasProducer, hasGap };
}

/** The first batch of an empty log may begin below its start, which lies inside that batch. */
function holdsStart(core: LogCore, baseOffset: Offset, lastOffset: Offset): boolean {
  const { logEndOffset, nextOffset, segments } = core;
  const isEmpty = segments.sizeBytes === 0 && nextOffset === logEndOffset;
  return isEmpty && baseOffset < nextOffset && lastOffset >= nextOffset;
}

/** Decides here, in order with the offsets, which batch begins a new segment; the snapshot is then that of this moment. */
function planRoll(
  core: LogCore,
  config: LogConfig,
  sizeBytes: number,
  endOffset: Offset,
  baseOffset: Offset,
): Buffer | undefined {
  const { segments, deps } = core;
  const active = segments.active;
  core.appendPlan ??= {
    baseOffset: Math.min(active?.baseOffset ?? baseOffset, baseOffset) as Offset,
    createdMs: active?.createdMs ?? deps.clock.wallMs(),
    sizeBytes: active?.sizeBytes ?? 0,
  };
  const plan = core.appendPlan;
  const isFull =
    plan.sizeBytes + sizeBytes > config.segmentBytes ||
    deps.clock.wallMs() - plan.createdMs >= rollMsOf(config) ||
    endOffset - plan.baseOffset > MAX_INT32 ||
    (plan.baseOffset === active?.baseOffset && active.indexes?.offsetIndex.isFull === true);
  if (plan.sizeBytes === 0 || !isFull) {
    plan.sizeBytes += sizeBytes;
    return undefined;
  }
  core.appendPlan = { baseOffset, createdMs: deps.clock.wallMs(), sizeBytes };
  return core.producers?.snapshot() ?? NO_PRODUCERS;
}

function noteEpoch(core: LogCore, epoch: LeaderEpoch, startOffset: Offset): void {
  if (epoch < 0 || epoch === core.latestEpoch) return;
  core.epochs ??= new LeaderEpochCache();
  if (core.epochs.assign(epoch, startOffset)) core.areEpochsDirty = true;
}

function noteProducers(core: LogCore, records: Buffer, at: number): AbortedTransaction | undefined {
  if (producerIdOf(records, at) < 0) return undefined;
  const completed = replayBatch(producersOf(core), records, at, core.deps.clock.monotonicMs());
  return completed?.isAborted === true ? completed : undefined;
}

function producersOf(core: LogCore): ProducerState {
  core.producers ??= new ProducerState({ expirationMs: core.deps.limits.producerExpirationMs });
  return core.producers;
}

/** Whether a producer has sent nothing behind this batch. */
function isNewest(
  core: LogCore,
  producerId: ProducerId,
  { lastOffset }: { readonly lastOffset: Offset },
): boolean {
  return producersOf(core).lastOffsetOf(producerId) === lastOffset;
}

/** Answers as for the original, and not before it: it may still fail (H56). */
function duplicateOf(
  core: LogCore,
  config: LogConfig,
  original: { readonly baseOffset: Offset; readonly lastOffset: Offset; readonly timestamp: Timestamp },
  leaderEpoch: LeaderEpoch,
): AppendResult {
  const endOffset = addOffset(original.lastOffset, 1);
  return {
    ok: true,
    baseOffset: original.baseOffset,
    endOffset,
    logAppendTimeMs: config.timestampType === "LogAppendTime" ? original.timestamp : NO_TIMESTAMP,
    duplicate: true,
    leaderEpoch,
    durability: config.flushPolicy === "ack" ? "synced" : "written",
    done: endOffset <= core.durableEndOffset ? DONE : core.pendingQueue().waitFor(endOffset),
  };
}

function refuse(error: ErrorName, message: string): Refusal {
  return { ok: false, error, message };
}
