import { abortReason } from "../base/abort.ts";
import type { BackoffOptions } from "../base/backoff.ts";
import { operationError } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import type { Clock } from "../platform/clock.ts";
import { NodeClock } from "../platform/node/node-clock.ts";
import { NodeRandom } from "../platform/node/node-random.ts";
import type { Random } from "../platform/random.ts";
import { AdminCalls } from "./admin-calls.ts";
import { Admin } from "./admin.ts";
import type { ClientContext } from "./client-context.ts";
import { Consumer } from "./consumer.ts";
import { resolveConsumerOptions } from "./consumer-options.ts";
import type { ConsumerOptions } from "./consumer-types.ts";
import { GrpcTransport, parseAddress, type ClientLane } from "./grpc-transport.ts";
import { MetadataCache } from "./metadata-cache.ts";
import { Producer } from "./producer.ts";
import { resolveProducerOptions, within, type ProducerOptions } from "./producer-types.ts";
import type { Telemetry } from "./telemetry.ts";
import type { ClientTransport } from "./transport.ts";

export interface LograftClientOptions {
  /** "host:port" of some brokers of the cluster; the others are found through them. */
  readonly brokers: readonly string[];
  /** A name for logs and quotas. Default "lograft". */
  readonly clientId?: string;
  /** Where this client runs, as the brokers' `broker.rack` names it; for consumers with `readFrom: "closest"`. */
  readonly rack?: string;
  /** How records travel: `direct` (default), or `grpc-js` to go through the plain gRPC library. */
  readonly lane?: ClientLane;
  /** Bound of one attempt of a request. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** Pauses between attempts: exponential, with jitter. Default 100 ms to 1 s. */
  readonly retry?: Partial<BackoffOptions>;
  /** Age at which the picture of the cluster is refreshed. Default 5 minutes. */
  readonly metadataMaxAgeMs?: number;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  /** Who watches what is sent and processed: `openTelemetry()` of lograft/opentelemetry. Default: nobody. */
  readonly telemetry?: Telemetry;
  /** Closes the client. */
  readonly signal?: AbortSignal;
  /** Default: the machine's. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** Default: gRPC by `lane`. The client closes it. */
  readonly transport?: ClientTransport;
}

const DEFAULT_RETRY: BackoffOptions = { initialMs: 100, maxMs: 1000, jitter: 0.2 };

/**
 * The door to a cluster. Nothing is connected before it is needed. Owns what it makes: closing it closes its producers
 * (with what they hold flushed) and consumers.
 */
export class LograftClient implements AsyncDisposable {
  readonly #context: ClientContext;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer>();
  readonly #signal: AbortSignal | undefined;
  #closing: Promise<void> | undefined;

  /** @throws LograftError INVALID_ARGUMENT naming the option. */
  constructor(options: LograftClientOptions) {
    if (options.brokers.length === 0)
      throw operationError("INVALID_ARGUMENT", "brokers is empty; name one at least");
    for (const address of options.brokers) parseAddress(address);
    const clock = options.clock ?? new NodeClock({ keepsAlive: true });
    const random = options.random ?? new NodeRandom();
    const logger = options.logger ?? silentLogger;
    const clientId = options.clientId ?? "lograft";
    const requestTimeoutMs = within("requestTimeoutMs", options.requestTimeoutMs ?? 30_000, 1, 2 ** 31);
    const retry = { ...DEFAULT_RETRY, ...options.retry };
    const transport =
      options.transport ??
      new GrpcTransport({ lane: options.lane ?? "direct", clientId }, { clock, logger, random });
    const metadata = new MetadataCache(
      {
        bootstrap: options.brokers,
        maxAgeMs: within("metadataMaxAgeMs", options.metadataMaxAgeMs ?? 300_000, 100, 2 ** 31),
        requestTimeoutMs,
        retry,
      },
      { clock, random, logger, transport },
    );
    const rack = options.rack ?? "";
    const { telemetry } = options;
    this.#context = {
      clientId,
      rack,
      requestTimeoutMs,
      retry,
      clock,
      random,
      logger,
      transport,
      metadata,
      telemetry,
    };
    this.#signal = options.signal;
    if (options.signal?.aborted === true) throw abortReason(options.signal);
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Waits until a broker answers, and says which cluster it is. Optional. @throws LograftError CONNECTION_FAILED. */
  async ready(options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}): Promise<{
    readonly clusterId: string;
  }> {
    const { clusterId } = await new AdminCalls({ context: this.#context }).probe(options);
    return { clusterId };
  }

  /** @throws LograftError INVALID_ARGUMENT, CLOSED. */
  producer(options: ProducerOptions = {}): Producer {
    this.#assertOpen();
    const resolved = resolveProducerOptions(options, this.#context.requestTimeoutMs);
    const producer = new Producer(resolved, {
      context: this.#context,
      onClosed: (closed) => this.#producers.delete(closed),
    });
    this.#producers.add(producer);
    return producer;
  }

  /** @throws LograftError INVALID_ARGUMENT, CLOSED. */
  consumer(options: ConsumerOptions): Consumer {
    this.#assertOpen();
    const consumer = new Consumer(resolveConsumerOptions(options, this.#context.rack), {
      context: this.#context,
      onClosed: (closed) => this.#consumers.delete(closed),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  /** @throws LograftError CLOSED. */
  admin(): Admin {
    this.#assertOpen();
    return new Admin({ context: this.#context });
  }

  /** Closes consumers, flushes and closes producers (each within its own time limit), then the connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #onAbort = (): void => {
    // The owner of the signal wants an end now; failures of the flush are in the promises of the records.
    this.close().catch((error: unknown) => {
      this.#context.logger.warn("closing on abort failed", { err: error });
    });
  };

  async #close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const parts = [...this.#consumers, ...this.#producers];
    const results = await Promise.allSettled(parts.map((part) => part.close()));
    this.#context.metadata.close();
    await this.#context.transport.close();
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw operationError("CLOSED", "the client is closed");
  }
}
