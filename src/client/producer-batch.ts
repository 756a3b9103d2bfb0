import { copyBytes } from "../base/bytes.ts";
import type { LograftError } from "../base/errors.ts";
import type { BatchBuilder } from "../model/batch-builder.ts";
import type { ProducerEpoch, ProducerId } from "../model/offsets.ts";
import { computeBatchCrc, writeInt64 } from "../model/record-batch.ts";
import type { RecordAck } from "./producer-types.ts";

/** A producer id with its epoch. Batches and partitions hold the object: identity tells sessions apart. */
export interface ProducerSession {
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
}

/** Who waits for one record of a batch. */
export interface SendWaiter {
  /** Position of the record in its batch, and the time it carries; set when it is placed. */
  index: number;
  timestamp: number;
  resolve(ack: RecordAck): void;
  reject(error: LograftError): void;
}

/** A flush that waits for batches; it is over when `pending` reaches 0. */
export interface FlushWait {
  pending: number;
  done(): void;
}

/** Gives a builder, empty, and takes it back. */
export interface BuilderPool {
  take(): BatchBuilder;
  give(builder: BatchBuilder): void;
}

/** Records of one partition that share a fate: open (takes records), waiting, in flight, resolved. */
export class ProducerBatch<Partition> {
  readonly partition: Partition;
  /** Counts up over all batches of the producer: the order of batches within a partition. */
  readonly order: number;
  /** When the first record came and when the application has waited long enough; monotonic, set with that record. */
  createdMs = 0;
  deadlineMs = 0;
  readonly builder: BatchBuilder;
  readonly #pool: BuilderPool;
  /** Records, and their bytes before compression: what the batch holds of the buffer. */
  recordCount = 0;
  sizeBytes = 0;
  /** Size at which the batch is full, or, when it cannot go, at which records that may go anywhere go elsewhere. */
  turnBytes = 0;
  /** Records without a waiter were enqueued. */
  waiters: SendWaiter[] | undefined;
  flushes: FlushWait[] | undefined;
  /** May be sent although it is not full: it lingered, or a flush waits for it. */
  isDue = false;
  /** The finished batch; set when it no longer takes records. */
  bytes: Buffer | undefined;
  session: ProducerSession | undefined;
  baseSequence = -1;
  attempts = 0;
  /** Of the last attempt: what the broker's log calls it. */
  requestId: string | undefined;
  /** Some attempt may have been written without our hearing of it; from then on a failure is "unknown" (H77). */
  isIndefinite = false;
  isResolved = false;
  lastError: { readonly name: string; readonly message: string } | undefined;

  constructor(options: { readonly partition: Partition; readonly order: number }, pool: BuilderPool) {
    this.partition = options.partition;
    this.order = options.order;
    this.#pool = pool;
    this.builder = pool.take();
  }

  /** Makes the bytes; no record is taken afterwards. */
  finish(session: ProducerSession | undefined, baseSequence: number): Buffer {
    if (session !== undefined) {
      this.builder.setProducer({ ...session, baseSequence, isTransactional: false });
      this.session = session;
      this.baseSequence = baseSequence;
    }
    this.bytes = this.builder.build();
    this.builder.reset();
    this.#pool.give(this.builder);
    return this.bytes;
  }

  /** Gives the finished batch a place in another session. Only when no broker can have it. */
  stamp(session: ProducerSession, baseSequence: number): void {
    // A copy once it was sent: the transport or a broker in this process may still hold what it was given.
    const bytes = this.attempts === 0 ? this.bytes : this.bytes && copyBytes(this.bytes);
    if (bytes === undefined) return;
    writeInt64(bytes, session.producerId, 43);
    bytes.writeInt16BE(session.producerEpoch, 51);
    bytes.writeInt32BE(baseSequence, 53);
    bytes.writeUInt32BE(computeBatchCrc(bytes), 17);
    this.bytes = bytes;
    this.session = session;
    this.baseSequence = baseSequence;
  }

  /** For a batch that fails before it was finished. */
  abandon(): void {
    if (this.bytes !== undefined) return;
    this.builder.reset();
    this.#pool.give(this.builder);
  }
}
