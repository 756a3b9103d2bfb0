import { operationError } from "../base/errors.ts";
import { TurnQueue } from "../base/turn-queue.ts";
import type { ReadResult } from "../log/log-reader.ts";
import type { NodeId } from "../model/ids.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { TopicPartitionKey } from "../model/topic-partition.ts";
import type { Clock } from "../platform/clock.ts";
import { FetchCursor } from "./fetch-cursor.ts";
import type { FetchPosition } from "./fetch-cursor.ts";
import { fetchedRecords, fetchRefused, readFailure, readRefusal } from "./fetched-partition.ts";
import type { FetchedPartition } from "./fetched-partition.ts";
import type { PartitionStore } from "./log-store.ts";
import { outcomeOfError, readerRefusal, unknownPartition } from "./outcome.ts";
import type { PartitionRef, Reader } from "./outcome.ts";
import type { PartitionTable } from "./partition-table.ts";
import type { Partition } from "./partition.ts";

export interface FetchStreamOptions {
  /** Record bytes of one message, 64 KiB to 16 MiB; 0: 1 MiB. A batch larger than this comes alone. */
  readonly maxMessageBytes: number;
  /** Wait until a partition has so many bytes, or `maxWaitMs` passed. 0: send at once. */
  readonly minBytes: number;
  readonly maxWaitMs: number;
  readonly readCommitted: boolean;
  /** A follower may serve it too (KIP-392). Left out: only the leader. */
  readonly fromFollower?: boolean | undefined;
}

/** Where a session sends to. */
export interface FetchSink {
  /** Takes the message. False: send no more until `FetchSession.drained`. */
  send(partitions: readonly FetchedPartition[]): boolean;
  /** The broker ends the session (it stops); nothing is sent any more. */
  closed?(reason: Error): void;
}

/** Pushes records of the named partitions as they become readable, within the credit of bytes that was granted. */
export interface FetchSession {
  /** Adds partitions; one that is there already moves (a seek). @throws LograftError BUFFER_EXHAUSTED past 100,000. */
  add(partitions: readonly FetchPosition[]): void;
  remove(partitions: readonly PartitionRef[]): void;
  /** Lets the broker send so many more bytes of records. @throws LograftError INVALID_ARGUMENT. */
  grant(bytes: number): void;
  /** The sink takes messages again, after a `send` that answered false. */
  drained(): void;
  /** Releases everything; nothing is sent afterwards. Idempotent. */
  close(): void;
}

export interface FetchSessionDeps {
  readonly table: PartitionTable;
  readonly clock: Clock;
  readonly sink: FetchSink;
  readonly onClose: () => void;
}

const MIN_MESSAGE_BYTES = 64 * 1024;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const DEFAULT_MESSAGE_BYTES = 1024 * 1024;
const MAX_PARTITIONS = 100_000;
/** Disk reads of one session under way, each of at most one message; this and the sink bound its memory. */
const MAX_READS = 4;
/** What one turn of the loop may send before other sessions get theirs. */
const TURN_BYTES = 4 * 1024 * 1024;

/**
 * One push session. Readable partitions stand in a queue and get their turns round robin; one pump for each turn of the
 * loop fills messages from it. What is in memory is read in that turn, a disk read puts its partition back when it is
 * done. Nothing runs, waits or ticks while there is nothing to send, no credit, or a slow sink (H74).
 */
export class CreditFetchSession implements FetchSession {
  readonly #reader: Reader;
  readonly #table: PartitionTable;
  readonly #clock: Clock;
  readonly #sink: FetchSink;
  readonly #onClose: () => void;
  readonly #maxMessageBytes: number;
  readonly #minBytes: number;
  readonly #maxWaitMs: number;
  readonly #cursors = new Map<TopicPartitionKey, FetchCursor>();
  readonly #ready = new TurnQueue<FetchCursor>();
  /** News and errors: sent before records, and without credit. */
  #notices: FetchedPartition[] = [];
  #message: FetchedPartition[] = [];
  #messageBytes = 0;
  #credit = 0;
  #readCount = 0;
  #isScheduled = false;
  #isBlocked = false;
  #isClosed = false;

  constructor(options: FetchStreamOptions & { readonly nodeId: NodeId }, deps: FetchSessionDeps) {
    this.#reader = { nodeId: options.nodeId, isFollowerEnough: options.fromFollower === true };
    this.#table = deps.table;
    this.#clock = deps.clock;
    this.#sink = deps.sink;
    this.#onClose = deps.onClose;
    const wanted = options.maxMessageBytes === 0 ? DEFAULT_MESSAGE_BYTES : options.maxMessageBytes;
    this.#maxMessageBytes = Math.min(Math.max(wanted, MIN_MESSAGE_BYTES), MAX_MESSAGE_BYTES);
    // More than a message can never come together.
    this.#minBytes = Math.min(options.minBytes, this.#maxMessageBytes);
    this.#maxWaitMs = Math.max(options.maxWaitMs, 0);
  }

  add(partitions: readonly FetchPosition[]): void {
    if (this.#isClosed) return;
    for (const position of partitions) {
      const key = topicPartitionKey(position.topic, position.partition);
      this.#cursors.get(key)?.end();
      this.#cursors.delete(key);
      if (this.#cursors.size + this.#notices.length >= MAX_PARTITIONS) {
        throw operationError(
          "BUFFER_EXHAUSTED",
          `a fetch session holds at most ${MAX_PARTITIONS} partitions`,
        );
      }
      this.#subscribe(key, position);
    }
  }

  remove(partitions: readonly PartitionRef[]): void {
    for (const { topic, partition } of partitions) {
      const key = topicPartitionKey(topic, partition);
      this.#cursors.get(key)?.end();
      this.#cursors.delete(key);
    }
  }

  grant(bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw operationError("INVALID_ARGUMENT", `a grant of ${bytes} bytes is not a count of bytes`);
    }
    this.#credit = Math.min(this.#credit + bytes, Number.MAX_SAFE_INTEGER);
    if (this.#ready.length > 0) this.#schedule();
  }

  drained(): void {
    this.#isBlocked = false;
    if (this.#ready.length > 0 || this.#notices.length > 0) this.#schedule();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const cursor of this.#cursors.values()) cursor.end();
    this.#cursors.clear();
    this.#ready.clear();
    this.#notices = [];
    this.#message = [];
    this.#onClose();
  }

  /** Ends the session from the broker's side. */
  shutDown(reason: Error): void {
    if (this.#isClosed) return;
    this.close();
    this.#sink.closed?.(reason);
  }

  #subscribe(key: TopicPartitionKey, position: FetchPosition): void {
    const { generation } = position;
    const partition = this.#table.find(position.topic, position.partition);
    if (partition === undefined) {
      this.#notice(fetchRefused(position, generation, undefined, unknownPartition(position)));
      return;
    }
    const refusal = readerRefusal(partition, position.leaderEpoch, this.#reader);
    if (refusal !== undefined) {
      this.#notice(fetchRefused(position, generation, partition, refusal));
      return;
    }
    const cursor = new FetchCursor(this.#reader.isFollowerEnough ? pinned(position, partition) : position);
    this.#cursors.set(key, cursor);
    partition.withLog((opened) => {
      if (cursor.isEnded) return;
      if (opened.ok) this.#attach(cursor, partition, opened.log);
      else this.#refuse(cursor, partition, outcomeOfError(opened.error));
    });
  }

  #attach(cursor: FetchCursor, partition: Partition, log: PartitionStore): void {
    cursor.target = { partition, log };
    const refusal = readRefusal(partition, log, cursor.offset, cursor.leaderEpoch, this.#reader);
    if (refusal !== undefined) {
      this.#refuse(cursor, partition, refusal);
      return;
    }
    // What ends the subscription is told at once: it needs no credit and must not wait behind those that do.
    const checkEnd = (): boolean => {
      const ended = readRefusal(partition, log, cursor.offset, cursor.leaderEpoch, this.#reader);
      if (ended !== undefined) this.#refuse(cursor, partition, ended);
      return ended !== undefined;
    };
    const wake = (): void => {
      if (log.state !== "open" && checkEnd()) return;
      if (cursor.isReading || cursor.offset >= log.durableEndOffset) return;
      this.#ready.push(cursor);
      if (this.#credit > 0) this.#schedule();
    };
    cursor.onEnd(log.onAdvance(wake));
    cursor.onEnd(partition.watch(checkEnd));
    this.#notice(fetchedRecords(cursor, cursor.generation, partition, log));
    if (cursor.offset < log.durableEndOffset) this.#ready.push(cursor);
  }

  #notice(item: FetchedPartition): void {
    this.#notices.push(item);
    this.#schedule();
  }

  /** An error ends the partition's part of the session; the client adds it again to go on. */
  #refuse(cursor: FetchCursor, partition: Partition, outcome: Parameters<typeof fetchRefused>[3]): void {
    cursor.end();
    this.#cursors.delete(topicPartitionKey(cursor.topic, cursor.partition));
    this.#notice(fetchRefused(cursor, cursor.generation, partition, outcome));
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isBlocked || this.#isClosed) return;
    this.#isScheduled = true;
    this.#clock.defer(() => this.#pump());
  }

  #pump(): void {
    this.#isScheduled = false;
    if (this.#isBlocked || this.#isClosed) return;
    const creditBefore = this.#credit;
    this.#takeNotices();
    while (this.#ready.length > 0 && !this.#isBlocked && !this.#isClosed) {
      const cursor = this.#ready.peek();
      if (cursor === undefined || !this.#serve(cursor)) break;
      this.#takeNotices();
      if (creditBefore - this.#credit >= TURN_BYTES) break;
    }
    if (this.#message.length > 0) this.#flush();
    const canGoOn = this.#credit > 0 && this.#readCount < MAX_READS && this.#ready.length > 0;
    if (canGoOn || this.#notices.length > 0) this.#schedule();
  }

  /** Serves the first of the queue and takes it out. False, with it left there: nothing more can be sent now. */
  #serve(cursor: FetchCursor): boolean {
    if (cursor.isEnded || cursor.isReading || cursor.target === undefined) {
      this.#ready.shift();
      return true;
    }
    const { partition, log } = cursor.target;
    const refusal = readRefusal(partition, log, cursor.offset, cursor.leaderEpoch, this.#reader);
    if (refusal !== undefined) {
      this.#ready.shift();
      this.#refuse(cursor, partition, refusal);
      return true;
    }
    if (cursor.pending === undefined) {
      if (cursor.offset >= log.durableEndOffset) {
        this.#ready.shift();
        return true;
      }
      if (this.#credit <= 0 || this.#readCount >= MAX_READS) return false;
      if (!this.#makeRoom()) return false;
      const room = Math.min(this.#maxMessageBytes - this.#messageBytes, this.#credit);
      const read = log.read(cursor.offset, room, { endOffset: log.durableEndOffset });
      if (read instanceof Promise) {
        this.#ready.shift();
        this.#awaitRead(cursor, read);
        return true;
      }
      cursor.pending = read;
    }
    return this.#serveRead(cursor, partition, log, cursor.pending);
  }

  #serveRead(cursor: FetchCursor, partition: Partition, log: PartitionStore, read: ReadResult): boolean {
    if (!read.ok) {
      this.#ready.shift();
      this.#refuse(cursor, partition, readFailure(partition, log, cursor.offset, read, this.#reader));
      return true;
    }
    const isTail = read.nextOffset >= log.durableEndOffset;
    if (read.chunks.length === 0 || (isTail && read.sizeBytes < this.#minBytes && !cursor.isDue)) {
      cursor.pending = undefined;
      this.#ready.shift();
      if (read.chunks.length > 0) this.#awaitMore(cursor);
      return true;
    }
    if (this.#credit <= 0) return false;
    if (this.#messageBytes > 0 && this.#messageBytes + read.sizeBytes > this.#maxMessageBytes) {
      this.#flush();
      if (this.#isBlocked || this.#isClosed) return false;
    }
    this.#ready.shift();
    cursor.pending = undefined;
    cursor.restartWait();
    partition.traffic.sent(read.nextOffset - cursor.offset, read.sizeBytes);
    cursor.offset = read.nextOffset;
    this.#message.push(fetchedRecords(cursor, cursor.generation, partition, log, read.chunks));
    this.#messageBytes += read.sizeBytes;
    // May go below zero by one batch: a batch larger than the credit would otherwise never be sent.
    this.#credit -= read.sizeBytes;
    if (!isTail) this.#ready.push(cursor);
    if (this.#messageBytes >= this.#maxMessageBytes) this.#flush();
    return true;
  }

  /** Sends the message when so little room is left that reading for it would not pay. False: the sink wants a pause. */
  #makeRoom(): boolean {
    if (this.#messageBytes > this.#maxMessageBytes - this.#maxMessageBytes / 8) this.#flush();
    return !this.#isBlocked && !this.#isClosed;
  }

  #awaitRead(cursor: FetchCursor, read: Promise<ReadResult>): void {
    cursor.isReading = true;
    this.#readCount++;
    const finish = (outcome: ReadResult): void => {
      this.#readCount--;
      cursor.isReading = false;
      if (this.#isClosed) return;
      // The cursor of before a seek has ended: what was read for it is dropped. Others may wait for the free read.
      if (!cursor.isEnded) {
        cursor.pending = outcome;
        this.#ready.push(cursor);
      }
      if (this.#ready.length > 0) this.#schedule();
    };
    read.then(finish, (error: unknown) => {
      const { error: name, errorMessage: message } = outcomeOfError(error);
      finish({ ok: false, error: name, message });
    });
  }

  #awaitMore(cursor: FetchCursor): void {
    if (cursor.hasTimer) return;
    cursor.setTimer(
      this.#clock.setTimer(this.#maxWaitMs, () => {
        cursor.isDue = true;
        this.#ready.push(cursor);
        if (this.#credit > 0) this.#schedule();
      }),
    );
  }

  #takeNotices(): void {
    if (this.#notices.length === 0) return;
    if (this.#message.length === 0) this.#message = this.#notices;
    else for (const notice of this.#notices) this.#message.push(notice);
    this.#notices = [];
  }

  #flush(): void {
    const message = this.#message;
    this.#message = [];
    this.#messageBytes = 0;
    if (!this.#sink.send(message)) this.#isBlocked = true;
  }
}

/**
 * With its leader epoch, also when the client names none: who takes a follower is not to find itself with the leader of
 * the next epoch, or the other way round, without having asked again.
 */
function pinned(position: FetchPosition, { image }: Partition): FetchPosition {
  return position.leaderEpoch < 0 ? { ...position, leaderEpoch: image.leaderEpoch } : position;
}
