import { assertNever } from "../base/assert.ts";
import { errorMessage, operationError } from "../base/errors.ts";
import type { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { ReadResult } from "../log/log-reader.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { ErrorName } from "../model/error-code.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { AcceptedReplica, ReplicaInput } from "./leader-endpoint.ts";
import { PacedPartitions } from "./paced-partitions.ts";
import type { RateLimit } from "./rate-limit.ts";
import { decodeFollowerFrame, encodeLeaderFrame } from "./replica-frames.ts";
import type {
  FollowerPart,
  FollowItem,
  LeaderPartToSend,
  ProgressItem,
  WatermarkItem,
} from "./replica-frames.ts";
import { ReplicaLookups } from "./replica-lookups.ts";
import type {
  FollowAnswer,
  FollowerIdentity,
  LeaderReplica,
  LeaderReplicas,
  ReplicaRefusal,
} from "./replica.ts";
import { SendQueue } from "./send-queue.ts";
import { SentPartition } from "./sent-partition.ts";

export interface ReplicaSenderOptions {
  /** Batch bytes of one frame; a batch larger than this comes alone. Default 1 MiB. */
  readonly maxFrameBytes?: number;
  /** A frame with so many batch bytes goes out, with less it waits for more partitions of the same turn. Default 64 KiB. */
  readonly gatherBytes?: number;
}

export interface ReplicaSenderDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replicas: LeaderReplicas;
  readonly stream: AcceptedReplica;
  /** The follower has said who it is; what this throws ends the stream. */
  readonly onOpen?: (sender: ReplicaSender, follower: FollowerIdentity) => void;
  /** Once, when the stream is over, whoever ended it. */
  readonly onClose?: (sender: ReplicaSender) => void;
}

const DEFAULT_FRAME_BYTES = 1024 * 1024;
const DEFAULT_GATHER_BYTES = 64 * 1024;
/** Partitions of one stream, those included that are being looked for. */
const MAX_PARTITIONS = 100_000;
/**
 * News of marks waits so long for records that carry it. A follower needs it for who reads there and for its next role,
 * in neither of which a few ms matter; told at once it would double the frames of a partition with few records.
 */
const MARKS_DELAY_MS = 5;
/** What one turn of the loop sends before other streams get theirs. */
const TURN_BYTES = 4 * 1024 * 1024;

/**
 * The leader's side of one replica stream (D6). Partitions with something to send stand in a queue and get their turns
 * round robin; one pump for each turn of the loop fills frames from it, with what is in memory at once, with what is on
 * the disk when it has been read. Answers and watermarks need no credit, batches do. An idle partition costs an entry in
 * a map and a listener; nothing runs or waits while there is nothing to send, no credit, or a slow sink.
 */
export class ReplicaSender implements ReplicaInput {
  readonly #maxFrameBytes: number;
  readonly #gatherBytes: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stream: AcceptedReplica;
  readonly #onOpen: ReplicaSenderDeps["onOpen"];
  readonly #onClose: ReplicaSenderDeps["onClose"];
  readonly #byId = new Map<number, SentPartition>();
  readonly #byPartition = new Map<string, SentPartition>();
  readonly #lookups: ReplicaLookups;
  readonly #queue = new SendQueue();
  readonly #paced: PacedPartitions;
  #noted: SentPartition[] = [];
  #marked: SentPartition[] = [];
  /** The marked ones are told in the next turn. */
  #areMarksDue = false;
  #marksTimer: Timer | undefined;
  /** Parts of the next frame. */
  #frame: LeaderPartToSend[] = [];
  #frameBytes = 0;
  #turnBytes = 0;
  #credit = 0;
  #follower: FollowerIdentity | undefined;
  #isScheduled = false;
  #isBlocked = false;
  #isClosed = false;

  constructor(options: ReplicaSenderOptions, deps: ReplicaSenderDeps) {
    this.#maxFrameBytes = options.maxFrameBytes ?? DEFAULT_FRAME_BYTES;
    // Half a frame at most: whoever is next finds room for as much as the others.
    this.#gatherBytes = Math.min(options.gatherBytes ?? DEFAULT_GATHER_BYTES, this.#maxFrameBytes / 2);
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#lookups = new ReplicaLookups({
      replicas: deps.replicas,
      onFound: (sent, found) => this.#onFound(sent, found),
    });
    this.#paced = new PacedPartitions({
      clock: deps.clock,
      queue: this.#queue,
      onDue: () => this.#schedule(),
    });
    this.#stream = deps.stream;
    this.#onOpen = deps.onOpen;
    this.#onClose = deps.onClose;
  }

  /** Who follows; undefined until it has said so. */
  get follower(): FollowerIdentity | undefined {
    return this.#follower;
  }

  get partitionCount(): number {
    return this.#byId.size;
  }

  /** @throws LograftError CORRUPT_MESSAGE, INVALID_REQUEST, BUFFER_EXHAUSTED; nothing is left of the stream then. */
  onFrame(frame: Buffer): void {
    if (this.#isClosed) return;
    try {
      for (const part of decodeFollowerFrame(frame)) this.#take(part);
    } catch (error: unknown) {
      this.#release();
      throw error;
    }
  }

  onDrain(): void {
    this.#isBlocked = false;
    this.#schedule();
  }

  onEnd(): void {
    this.#release();
  }

  /** Ends the stream from this side. Idempotent. */
  close(error?: LograftError): void {
    if (this.#isClosed) return;
    this.#release();
    this.#stream.close(error);
  }

  #take(part: FollowerPart): void {
    const follower = this.#follower;
    if (part.type === "open") {
      if (follower !== undefined) throw invalid(`broker ${follower.nodeId} opens its stream twice`);
      this.#follower = { nodeId: part.nodeId, brokerEpoch: part.brokerEpoch };
      this.#onOpen?.(this, this.#follower);
      return;
    }
    if (follower === undefined) throw invalid(`a replica stream begins with ${part.type} instead of open`);
    switch (part.type) {
      case "follow":
        for (const item of part.items) this.#follow(item);
        return;
      case "unfollow":
        for (const id of part.ids) this.#drop(this.#byId.get(id));
        return;
      case "progress":
        for (const item of part.items) this.#progress(item, follower);
        return;
      case "credit":
        this.#credit = Math.min(this.#credit + part.bytes, Number.MAX_SAFE_INTEGER);
        this.#schedule();
        return;
      default:
        assertNever(part);
    }
  }

  #follow(item: FollowItem): void {
    if (this.#byId.has(item.id)) throw invalid(`the id ${item.id} of a replica stream is used twice`);
    const key = keyOf(item);
    this.#drop(this.#byPartition.get(key));
    // Those that were dropped while they waited leave the queue only when their turn comes.
    if (this.#byId.size >= MAX_PARTITIONS || this.#lookups.waitingCount >= 2 * MAX_PARTITIONS) {
      throw operationError("BUFFER_EXHAUSTED", `a replica stream holds at most ${MAX_PARTITIONS} partitions`);
    }
    const sent = new SentPartition(item);
    this.#byId.set(item.id, sent);
    this.#byPartition.set(key, sent);
    this.#lookups.push(sent);
  }

  #progress({ id, endOffset }: ProgressItem, follower: FollowerIdentity): void {
    const replica = this.#byId.get(id)?.replica;
    if (replica === undefined || replica.isEnded) return;
    if (endOffset > replica.logEndOffset) {
      throw invalid(
        `broker ${follower.nodeId} reports offset ${endOffset} of ${replica.topicId}-${replica.partition}, whose log ends at ${replica.logEndOffset}`,
      );
    }
    replica.progress(follower, endOffset);
  }

  /** Whether the role still goes on, `follow` itself looks, in the same breath as it answers. */
  #onFound(sent: SentPartition, found: LeaderReplica | ReplicaRefusal): void {
    if (this.#follower === undefined) return;
    if ("type" in found) this.#answer(sent, found);
    else this.#attach(sent, found, found.follow(this.#follower, sent.item));
  }

  #attach(sent: SentPartition, replica: LeaderReplica, answer: FollowAnswer): void {
    if (answer.type !== "ok") {
      this.#answer(sent, answer);
      return;
    }
    sent.attach(replica, () => this.#note(sent));
    // Also without any records the follower is to know that its position was agreed to.
    this.#mark(sent);
    this.#areMarksDue = true;
    if (replica.logEndOffset > sent.nextOffset) this.#queue.push(sent);
    this.#schedule();
  }

  /** Tells the follower why its id is done with, and forgets it. */
  #answer(sent: SentPartition, answer: Exclude<FollowAnswer, { readonly type: "ok" }>): void {
    const { id } = sent;
    this.#drop(sent);
    this.#frame.push({ ...answer, id });
    this.#schedule();
  }

  #refuse(sent: SentPartition, error: ErrorName, message: string): void {
    const leaderEpoch = sent.replica?.leaderEpoch ?? sent.item.leaderEpoch;
    this.#answer(sent, { type: "refused", error, message, leaderEpoch });
  }

  #drop(sent: SentPartition | undefined): void {
    if (sent === undefined) return;
    this.#byId.delete(sent.id);
    const key = keyOf(sent.item);
    if (this.#byPartition.get(key) === sent) this.#byPartition.delete(key);
    this.#queue.forget(sent);
    this.#schedule();
    if (sent.end() && this.#follower !== undefined) sent.replica?.detach(this.#follower);
  }

  /** Inside the leader's own steps: only takes note. */
  #note(sent: SentPartition): void {
    if (sent.isNoted || sent.isEnded) return;
    sent.isNoted = true;
    this.#noted.push(sent);
    this.#schedule();
  }

  #mark(sent: SentPartition): void {
    if (sent.isMarked) return;
    sent.isMarked = true;
    this.#marked.push(sent);
    this.#marksTimer ??= this.#clock.setTimer(MARKS_DELAY_MS, () => {
      this.#marksTimer = undefined;
      this.#areMarksDue = this.#marked.length > 0;
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isBlocked || this.#isClosed || !this.#hasWork()) return;
    this.#isScheduled = true;
    this.#clock.defer(() => this.#pump());
  }

  #hasWork(): boolean {
    if (this.#frame.length > 0 || this.#noted.length > 0 || this.#areMarksDue) return true;
    if (this.#credit <= 0) return false;
    return this.#queue.hasNext;
  }

  #pump(): void {
    this.#isScheduled = false;
    if (this.#isBlocked || this.#isClosed) return;
    this.#turnBytes = 0;
    this.#takeNotes();
    while (this.#canSend()) {
      const landed = this.#queue.takeLanded();
      const next = landed === undefined ? this.#queue.next() : undefined;
      if (landed !== undefined) this.#send(landed.sent, landed.read);
      else if (next !== undefined) this.#serve(next);
      else break;
    }
    // A frame that goes anyway takes them along.
    if (!this.#isBlocked && (this.#areMarksDue || this.#frame.length > 0)) this.#tellMarks();
    this.#flush();
    this.#schedule();
  }

  #canSend(): boolean {
    return !this.#isBlocked && this.#credit > 0 && this.#turnBytes < TURN_BYTES;
  }

  #takeNotes(): void {
    const noted = this.#noted;
    this.#noted = [];
    for (const sent of noted) {
      sent.isNoted = false;
      const { replica } = sent;
      if (sent.isEnded || replica === undefined) continue;
      if (replica.isEnded) {
        this.#refuse(sent, "NOT_LEADER_OR_FOLLOWER", "this broker does not lead the partition any more");
        continue;
      }
      if (replica.logEndOffset > sent.nextOffset) this.#queue.push(sent);
      if (sent.hasNewMarks(replica)) this.#mark(sent);
    }
  }

  #serve(sent: SentPartition): void {
    const { replica } = sent;
    if (sent.isEnded || replica === undefined || sent.nextOffset >= replica.logEndOffset) return;
    const paceBytes = this.#paced.roomFor(sent, this.#paceOf(replica));
    if (paceBytes === 0) return;
    const room = Math.min(this.#maxFrameBytes - this.#frameBytes, this.#credit, paceBytes);
    const read = replica.read(sent.nextOffset, Math.max(room, 1));
    sent.isCold = read instanceof Promise;
    if (read instanceof Promise) void this.#awaitRead(sent, read);
    else this.#send(sent, read);
  }

  #paceOf(replica: LeaderReplica): RateLimit | undefined {
    return this.#follower === undefined ? undefined : replica.paceFor(this.#follower.nodeId);
  }

  async #awaitRead(sent: SentPartition, reading: Promise<ReadResult>): Promise<void> {
    this.#queue.began(sent);
    let read: ReadResult;
    try {
      read = await reading;
    } catch (error: unknown) {
      read = { ok: false, error: "KAFKA_STORAGE_ERROR", message: errorMessage(error) };
    }
    this.#queue.ended(sent, read);
    this.#schedule();
  }

  /** Puts what was read into the frame, unless the role has ended since (H31). */
  #send(sent: SentPartition, read: ReadResult): void {
    const { replica } = sent;
    if (sent.isEnded || replica === undefined) return;
    if (replica.isEnded) {
      this.#note(sent);
      return;
    }
    if (!read.ok) {
      this.#cannotRead(sent, replica, read);
      return;
    }
    if (read.chunks.length === 0) {
      // Its log changed while it was read; the follower asks again and finds out what is so now.
      this.#refuse(sent, "OFFSET_NOT_AVAILABLE", `nothing was found at offset ${sent.nextOffset}`);
      return;
    }
    if (this.#frameBytes > 0 && this.#frameBytes + read.sizeBytes > this.#maxFrameBytes) this.#flush();
    const { sizeBytes, nextOffset } = read;
    this.#frame.push(sent.take(replica, read));
    this.#frameBytes += sizeBytes;
    this.#turnBytes += sizeBytes;
    // May pass below zero by one batch: a batch larger than the window would never be sent otherwise.
    this.#credit -= sizeBytes;
    this.#paceOf(replica)?.take(sizeBytes);
    if (nextOffset < replica.logEndOffset) this.#queue.push(sent);
    if (this.#frameBytes >= this.#gatherBytes) this.#flush();
  }

  #cannotRead(sent: SentPartition, replica: LeaderReplica, read: Extract<ReadResult, { ok: false }>): void {
    const { logStartOffset } = replica;
    if (read.error === "OFFSET_OUT_OF_RANGE" && sent.nextOffset < logStartOffset) {
      // Retention has overtaken it: what it needs next is deleted here.
      this.#answer(sent, { type: "reset", logStartOffset });
      return;
    }
    this.#logger.error("a partition cannot be read for a follower", {
      topicId: replica.topicId,
      partition: replica.partition,
      offset: sent.nextOffset,
      leaderEpoch: replica.leaderEpoch,
      follower: this.#follower?.nodeId,
      error: read.error,
      cause: read.message,
    });
    this.#refuse(sent, read.error, read.message);
  }

  /** Marks that no records of this turn have carried. */
  #tellMarks(): void {
    this.#areMarksDue = false;
    const marked = this.#marked;
    this.#marked = [];
    const items: WatermarkItem[] = [];
    for (const sent of marked) {
      sent.isMarked = false;
      const { replica } = sent;
      if (sent.isEnded || replica === undefined || replica.isEnded || !sent.hasNewMarks(replica)) continue;
      const { highWatermark, logStartOffset } = replica;
      sent.sentHighWatermark = highWatermark;
      sent.sentLogStart = logStartOffset;
      items.push({ id: sent.id, highWatermark, logStartOffset });
    }
    if (items.length > 0) this.#frame.push({ type: "watermarks", items });
  }

  #flush(): void {
    if (this.#frame.length === 0 || this.#isClosed) return;
    const frame = encodeLeaderFrame(this.#frame);
    this.#frame = [];
    this.#frameBytes = 0;
    if (!this.#stream.send(frame)) this.#isBlocked = true;
  }

  #release(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const sent of this.#byId.values()) {
      if (sent.end() && this.#follower !== undefined) sent.replica?.detach(this.#follower);
    }
    this.#byId.clear();
    this.#byPartition.clear();
    this.#queue.clear();
    this.#paced.clear();
    this.#lookups.clear();
    this.#noted = [];
    this.#marked = [];
    this.#marksTimer?.cancel();
    this.#frame = [];
    this.#onClose?.(this);
  }
}

function keyOf(item: FollowItem): string {
  return `${item.topicId}-${item.partition}`;
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("INVALID_REQUEST", `${message}; the stream is ended`);
}
