import { Backoff } from "../base/backoff.ts";
import { operationError, type LograftError } from "../base/errors.ts";
import type { Timer } from "../platform/clock.ts";
import { errorFromStatus } from "../rpc/error-details.ts";
import type { ProducePartition, ProducePartitionResult, ProduceResponse } from "../rpc/messages.ts";
import { decodeProduceResponse, encodeProduceRequest } from "../rpc/produce-codec.ts";
import { requestIdOf } from "../rpc/request-id.ts";
import type { RpcStatus } from "../rpc/status.ts";
import type { ByteStream } from "../rpc/stream/byte-stream.ts";
import type { ClientContext } from "./client-context.ts";
import type { PartitionBatch, PartitionLane, PartitionQueue } from "./partition-queue.ts";
import type { ResolvedProducerOptions } from "./producer-types.ts";
import { PRODUCE_METHOD } from "../rpc/method-names.ts";

/** Who hears what became of batches. */
export interface ProduceLaneListener {
  /** The batch was answered; undefined: the answer left it out. */
  onResult(batch: PartitionBatch, result: ProducePartitionResult | undefined): void;
  /** acks=0: the batch was given to the transport. */
  onSent(batch: PartitionBatch): void;
  /** The stream is gone; none of these was answered. Called for every loss, also with no batches. */
  onLost(lane: ProduceLane, batches: readonly PartitionBatch[], error: LograftError): void;
}

interface InFlightRequest {
  readonly batches: readonly PartitionBatch[];
  readonly sizeBytes: number;
  readonly sentMs: number;
}

/** Fields of a request and of each partition in it, besides the topic's name and the records. */
const REQUEST_OVERHEAD_BYTES = 32;
const PARTITION_OVERHEAD_BYTES = 48;

/**
 * The produce stream to one broker. Sends what its partitions have ready, several in one request, within the bytes that
 * the broker granted and only while the transport takes more. An answer that does not come in time means that the
 * stream is broken: it is cut, and every unanswered batch is in doubt.
 */
export class ProduceLane implements PartitionLane {
  readonly address: string;
  readonly ready = new Set<PartitionQueue>();
  readonly #options: ResolvedProducerOptions;
  readonly #context: ClientContext;
  readonly #listener: ProduceLaneListener;
  readonly #backoff: Backoff;
  readonly #requests = new Map<number, InFlightRequest>();
  #stream: ByteStream | undefined;
  #windowBytes = 0;
  #unansweredBytes = 0;
  #isBlocked = false;
  #isPumping = false;
  #nextCorrelationId = 1;
  #openedMs = 0;
  #deadlineTimer: Timer | undefined;
  #reopenTimer: Timer | undefined;
  #isClosed = false;

  constructor(
    options: { readonly address: string; readonly producer: ResolvedProducerOptions },
    deps: { readonly context: ClientContext; readonly listener: ProduceLaneListener },
  ) {
    this.address = options.address;
    this.#options = options.producer;
    this.#context = deps.context;
    this.#listener = deps.listener;
    this.#backoff = new Backoff(deps.context.retry, deps.context);
  }

  /** Bytes of requests without an answer. */
  get unansweredBytes(): number {
    return this.#unansweredBytes;
  }

  pump(): void {
    if (this.#isClosed || this.#isPumping || this.ready.size === 0 || this.#reopenTimer !== undefined) return;
    if (this.#stream === undefined) {
      this.#open();
      return;
    }
    // `send` may call back into this lane when it closes; the guard keeps one loop at a time.
    this.#isPumping = true;
    try {
      while (this.#windowBytes > 0 && !this.#isBlocked && this.ready.size > 0) {
        const batches = this.#gather();
        if (batches.length === 0) break;
        this.#send(batches);
      }
    } finally {
      this.#isPumping = false;
    }
  }

  /** Ends the stream; what is unanswered is not reported. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#reopenTimer?.cancel();
    this.#deadlineTimer?.cancel();
    const stream = this.#stream;
    this.#stream = undefined;
    if (this.#requests.size === 0) stream?.end();
    stream?.cancel();
  }

  #open(): void {
    const stream = this.#context.transport.openStream(this.address, PRODUCE_METHOD);
    this.#stream = stream;
    this.#openedMs = this.#context.clock.monotonicMs();
    this.#windowBytes = 0;
    this.#isBlocked = false;
    stream.onMessage((message) => {
      if (this.#stream === stream) this.#onMessage(message);
    });
    stream.onDrain(() => {
      this.#isBlocked = false;
      this.pump();
    });
    stream.onClose((status) => {
      if (this.#stream === stream) this.#onLost(errorOfClose(status, this.address, stream));
    });
    this.#armDeadline();
  }

  /** One batch of each partition that may send, as many as fit into a request and into the window. */
  #gather(): PartitionBatch[] {
    const batches: PartitionBatch[] = [];
    const room =
      this.#options.acks === 0 ? Number.POSITIVE_INFINITY : this.#windowBytes - this.#unansweredBytes;
    let sizeBytes = REQUEST_OVERHEAD_BYTES;
    for (const partition of this.ready) {
      const batch = partition.next();
      if (batch === undefined) {
        this.ready.delete(partition);
        continue;
      }
      const next = sizeBytes + batchBytes(batch);
      const isFirst = batches.length === 0;
      // A batch larger than the whole window goes alone; waiting for more window would be for ever.
      if (next > room && !(isFirst && this.#unansweredBytes === 0)) break;
      if (next > this.#options.maxRequestBytes && !isFirst) break;
      sizeBytes = next;
      batches.push(batch);
    }
    for (const batch of batches) {
      batch.partition.take(batch);
      // To the end of the line: partitions take turns.
      this.ready.delete(batch.partition);
      if (batch.partition.isReady) this.ready.add(batch.partition);
    }
    return batches;
  }

  #send(batches: readonly PartitionBatch[]): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    const correlationId = this.#nextCorrelationId++;
    const streamId = requestIdOf(stream);
    const requestId = streamId === "" ? undefined : `${streamId}#${correlationId}`;
    const partitions: ProducePartition[] = [];
    let sizeBytes = REQUEST_OVERHEAD_BYTES;
    for (const batch of batches) {
      const { topic, partition } = batch.partition;
      const leaderEpoch = this.#context.metadata.topic(topic)?.partitions[partition]?.leaderEpoch ?? -1;
      batch.requestId = requestId;
      partitions.push({ topic, partition, leaderEpoch, records: batch.bytes ?? Buffer.alloc(0) });
      sizeBytes += batchBytes(batch);
    }
    const { acks, requestTimeoutMs } = this.#options;
    // The broker gives up before we do, so that its answer is heard.
    const timeoutMs = Math.max(1, Math.floor(requestTimeoutMs - Math.min(1000, requestTimeoutMs * 0.2)));
    const chunks = encodeProduceRequest({ correlationId, acks, timeoutMs, partitions });
    if (acks !== 0) {
      this.#requests.set(correlationId, { batches, sizeBytes, sentMs: this.#context.clock.monotonicMs() });
      this.#unansweredBytes += sizeBytes;
      if (this.#requests.size === 1) this.#armDeadline();
    }
    if (!stream.send(chunks)) this.#isBlocked = true;
    if (acks === 0) for (const batch of batches) this.#listener.onSent(batch);
  }

  #onMessage(message: Buffer): void {
    let response: ProduceResponse;
    try {
      response = decodeProduceResponse(message);
    } catch (error: unknown) {
      this.#cut(
        operationError("CONNECTION_FAILED", `${this.address} sent an answer that cannot be read`, {
          cause: error,
          retriable: true,
        }),
      );
      return;
    }
    if (response.windowBytes > 0) {
      this.#windowBytes = response.windowBytes;
      this.#backoff.reset();
    }
    const request = this.#requests.get(response.correlationId);
    if (request !== undefined) {
      this.#requests.delete(response.correlationId);
      this.#unansweredBytes -= request.sizeBytes;
      this.#armDeadline();
      for (const [index, batch] of request.batches.entries()) {
        this.#listener.onResult(batch, resultOf(response.results, index, batch.partition));
      }
    } else if (response.correlationId === 0) {
      this.#armDeadline();
    }
    this.pump();
  }

  /** One timer: for the oldest request, or for the grant that opens the stream. */
  #armDeadline(): void {
    this.#deadlineTimer?.cancel();
    this.#deadlineTimer = undefined;
    const oldest = this.#requests.values().next().value;
    if (oldest === undefined && (this.#stream === undefined || this.#windowBytes > 0)) return;
    const startMs = oldest?.sentMs ?? this.#openedMs;
    const waitMs = Math.max(0, startMs + this.#options.requestTimeoutMs - this.#context.clock.monotonicMs());
    this.#deadlineTimer = this.#context.clock.setTimer(waitMs, () => {
      this.#cut(
        operationError(
          "TIMEOUT",
          `${this.address} did not answer a produce request within ${this.#options.requestTimeoutMs} ms`,
          {
            retriable: true,
          },
        ),
      );
    });
  }

  #cut(error: LograftError): void {
    const stream = this.#stream;
    this.#onLost(error);
    stream?.cancel();
  }

  #onLost(error: LograftError): void {
    this.#stream = undefined;
    this.#windowBytes = 0;
    this.#unansweredBytes = 0;
    this.#isBlocked = false;
    this.#deadlineTimer?.cancel();
    const batches = [...this.#requests.values()].flatMap((request) => request.batches);
    this.#requests.clear();
    if (this.#isClosed) return;
    this.#context.logger.debug("a produce stream ended", {
      address: this.address,
      requestId: error.requestId,
      err: error,
    });
    this.#reopenTimer = this.#context.clock.setTimer(this.#backoff.nextMs(), () => {
      this.#reopenTimer = undefined;
      this.pump();
    });
    this.#listener.onLost(this, batches, error);
  }
}

function batchBytes(batch: PartitionBatch): number {
  return (batch.bytes?.byteLength ?? 0) + PARTITION_OVERHEAD_BYTES + batch.partition.topic.length;
}

/** Answers come in the order of the request; a broker that does otherwise is still understood. */
function resultOf(
  results: readonly ProducePartitionResult[],
  index: number,
  { topic, partition }: PartitionQueue,
): ProducePartitionResult | undefined {
  const matches = (result: ProducePartitionResult | undefined): boolean =>
    result?.topic === topic && result.partition === partition;
  const atIndex = results[index];
  return matches(atIndex) ? atIndex : results.find(matches);
}

/** A stream is lost whatever its status says; only a refusal by name is not worth another attempt. */
export function errorOfClose(
  status: RpcStatus,
  address: string,
  stream: Pick<ByteStream, "metadata">,
): LograftError {
  const requestId = requestIdOf(stream);
  const error = errorFromStatus(status, requestId);
  const isRefusal = !error.retriable && (status.details !== undefined || REFUSALS.has(error.code));
  if (isRefusal) return error;
  const message = status.message === "" ? "the stream was closed" : status.message;
  return operationError("CONNECTION_FAILED", `${address}: ${message}`, {
    cause: error,
    retriable: true,
    context: requestId === "" ? {} : { requestId },
  });
}

const REFUSALS: ReadonlySet<string> = new Set([
  "CLUSTER_AUTHORIZATION_FAILED",
  "INVALID_ARGUMENT",
  "SASL_AUTHENTICATION_FAILED",
  "UNSUPPORTED_VERSION",
]);
