import { deadlineSignal } from "../base/abort.ts";
import { assert } from "../base/assert.ts";
import { operationError, type LograftError } from "../base/errors.ts";
import { Accumulator } from "./accumulator.ts";
import type { ClientContext } from "./client-context.ts";
import type { ProducerRecord, RecordAck, ResolvedProducerOptions } from "./producer-types.ts";
import type { SendWaiter } from "./producer-batch.ts";
import { asDeliveryError } from "./send-errors.ts";
import type { Telemetry } from "./telemetry.ts";

/** How long to wait, and for whom. */
export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_CLOSE_TIMEOUT_MS = 30_000;

/**
 * Writes records. Three ways: `send` gives a promise for each record; `sendBatch` one for many; `enqueue` none, for the
 * highest rates: check its answer, await `drained` when it is false, and `flush` at the end.
 *
 * Records of one partition are written in the order of the calls; with idempotence (default) once each, through retries
 * and leader changes. What a failed call means is in `DeliveryError.outcome`.
 */
export class Producer implements AsyncDisposable {
  readonly #context: ClientContext;
  readonly #accumulator: Accumulator;
  readonly #stopListening: () => void;
  readonly #onClosed: (producer: Producer) => void;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  /** Made by `LograftClient.producer`. */
  constructor(
    options: ResolvedProducerOptions,
    deps: { readonly context: ClientContext; readonly onClosed: (producer: Producer) => void },
  ) {
    this.#context = deps.context;
    this.#onClosed = deps.onClosed;
    this.#accumulator = new Accumulator(options, deps);
    this.#stopListening = deps.context.metadata.onUpdate(() => this.#accumulator.onMetadata());
  }

  /** Bytes of records that wait for their acknowledgement. */
  get bufferedBytes(): number {
    return this.#accumulator.bufferedBytes;
  }

  /**
   * Writes one record; the promise settles with its acknowledgement. Waits for room when the buffer is full. The bytes
   * of the record must not change before that. @throws DeliveryError.
   */
  send(topic: string, record: ProducerRecord): Promise<RecordAck> {
    const { telemetry } = this.#context;
    return telemetry === undefined ? this.#send(topic, record) : this.#tracedSend(telemetry, topic, record);
  }

  #send(topic: string, record: ProducerRecord): Promise<RecordAck> {
    return new Promise((resolve, reject) => {
      this.#give(topic, record, { index: 0, timestamp: 0, resolve, reject });
    });
  }

  /**
   * Writes many records to one topic; the acknowledgements are in their order. When some fail, the promise rejects with
   * the first error after all have their verdict. @throws DeliveryError.
   */
  sendBatch(topic: string, records: readonly ProducerRecord[]): Promise<RecordAck[]> {
    const { telemetry } = this.#context;
    if (telemetry === undefined || records.length === 0) return this.#sendAll(topic, records);
    return this.#traced(telemetry, topic, records, (traced) => this.#sendAll(topic, traced));
  }

  #sendAll(topic: string, records: readonly ProducerRecord[]): Promise<RecordAck[]> {
    return new Promise((resolve, reject) => {
      const acks: RecordAck[] = [];
      let pending = records.length;
      let failure: LograftError | undefined;
      const settle = (): void => {
        pending--;
        if (pending > 0) return;
        if (failure === undefined) resolve(acks);
        else reject(failure);
      };
      if (records.length === 0) resolve(acks);
      for (const [index, record] of records.entries()) {
        this.#give(topic, record, {
          index: 0,
          timestamp: 0,
          resolve: (ack) => {
            acks[index] = ack;
            settle();
          },
          reject: (error) => {
            failure ??= error;
            settle();
          },
        });
      }
    });
  }

  /**
   * Takes a record without a promise; its bytes are copied before this returns. False: not taken, because the buffer is
   * full or the topic is not known yet; await `drained` and try again. A later failure goes to the option `onError` and
   * to the next `flush`. @throws ProtocolError MESSAGE_TOO_LARGE; LograftError INVALID_ARGUMENT, CLOSED.
   */
  enqueue(topic: string, record: ProducerRecord): boolean {
    if (this.#isClosed) throw closedError();
    const { telemetry } = this.#context;
    if (telemetry === undefined) return this.#accumulator.tryAppend(topic, record);
    return this.#tracedEnqueue(telemetry, topic, record);
  }

  /**
   * Resolves when a refused record can be tried again: the topic is known and the buffer is at most half full.
   * @throws the error that keeps the topic from being known; LograftError CLOSED, TIMEOUT, the reason of `signal`.
   */
  async drained(options: WaitOptions = {}): Promise<void> {
    if (this.#isClosed) throw closedError();
    await this.#bounded(options, (signal) => this.#accumulator.drained(signal));
  }

  /**
   * Sends what waits and resolves when every record taken before this call has its verdict.
   * @throws the first failure of enqueued records since the last flush; LograftError TIMEOUT, the reason of `signal`.
   */
  async flush(options: WaitOptions = {}): Promise<void> {
    await this.#bounded(options, (signal) => this.#accumulator.flush(signal));
  }

  /**
   * Takes no more records, flushes, and ends the streams. Records without a verdict after `timeoutMs` (default 30 s) fail
   * with CLOSED. Idempotent. @throws as `flush`.
   */
  close(options: WaitOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(options: WaitOptions): Promise<void> {
    this.#isClosed = true;
    try {
      await this.flush({ timeoutMs: DEFAULT_CLOSE_TIMEOUT_MS, ...options });
    } finally {
      this.#stopListening();
      this.#accumulator.close();
      this.#onClosed(this);
    }
  }

  async #tracedSend(telemetry: Telemetry, topic: string, record: ProducerRecord): Promise<RecordAck> {
    const acks = await this.#traced(telemetry, topic, [record], (traced) => this.#sendAll(topic, traced));
    const [ack] = acks;
    assert(ack !== undefined, "a record without a verdict", { topic });
    return ack;
  }

  /** Up to the first await in the turn of the call: the records keep their place. */
  async #traced(
    telemetry: Telemetry,
    topic: string,
    records: readonly ProducerRecord[],
    send: (records: readonly ProducerRecord[]) => Promise<RecordAck[]>,
  ): Promise<RecordAck[]> {
    const { clientId } = this.#context;
    const trace = telemetry.produce({ operation: "send", topic, records, clientId });
    try {
      const acks = await send(trace.records);
      trace.succeeded(acks);
      return acks;
    } catch (error: unknown) {
      trace.failed(error);
      throw error;
    }
  }

  /** A record that is refused for now will come again, and is told of then. */
  #tracedEnqueue(telemetry: Telemetry, topic: string, record: ProducerRecord): boolean {
    const { clientId } = this.#context;
    const trace = telemetry.produce({ operation: "create", topic, records: [record], clientId });
    try {
      const isTaken = this.#accumulator.tryAppend(topic, trace.records[0] ?? record);
      if (isTaken) trace.succeeded([]);
      return isTaken;
    } catch (error: unknown) {
      trace.failed(error);
      throw error;
    }
  }

  #give(topic: string, record: ProducerRecord, waiter: SendWaiter): void {
    try {
      if (this.#isClosed) throw closedError();
      this.#accumulator.append(topic, record, waiter);
    } catch (error: unknown) {
      waiter.reject(asDeliveryError(error, topic));
    }
  }

  async #bounded(
    options: WaitOptions,
    run: (signal: AbortSignal | undefined) => Promise<void>,
  ): Promise<void> {
    if (options.timeoutMs === undefined) {
      await run(options.signal);
      return;
    }
    using deadline = deadlineSignal(this.#context.clock, options.timeoutMs, options.signal);
    await run(deadline.signal);
  }
}

function closedError(): LograftError {
  return operationError("CLOSED", "the producer is closed");
}
