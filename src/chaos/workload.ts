import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../platform/random.ts";
import { readAndLog } from "./chaos-consumer.ts";
import { ChaosProducer } from "./chaos-producer.ts";
import type { HistoryLog } from "./history-log.ts";
import type { Key } from "./keys.ts";
import type { RelayedClients } from "./relayed-clients.ts";

const PRODUCERS = 4;
/** Each client is torn down and replaced by a new process so often, one after the other. */
const CLIENT_LIFE_MS = 30_000;
const RETRY_PAUSE_MS = 100;

export interface WorkloadOptions {
  readonly run: string;
  readonly seed: number;
  readonly keys: readonly Key[];
  /** Of all producers together. */
  readonly perSecond: number;
  /** Each key gets its records at an even pace, and none is hot: then a pause in consuming it is no chance. */
  readonly isEven: boolean;
}

/**
 * Idempotent producers and readers by assignment over all keys: every key is written by four processes, one key is hot,
 * one reader has all keys, two have half of them each. Clients are torn down in turn while they work.
 */
export class Workload implements AsyncDisposable {
  readonly #options: WorkloadOptions;
  readonly #deps: { readonly clients: RelayedClients; readonly log: HistoryLog };
  readonly #producers: ChaosProducer[] = [];
  readonly #readers: Promise<void>[] = [];
  readonly #stopping = new AbortController();
  #rotating: Promise<void> = Promise.resolve();
  #crashes = 0;

  constructor(
    options: WorkloadOptions,
    deps: { readonly clients: RelayedClients; readonly log: HistoryLog },
  ) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    for (let index = 0; index < PRODUCERS; index++) this.#producers.push(this.#newProducer(index));
    const { keys } = this.#options;
    const half = Math.floor(keys.length / 2);
    for (const share of [keys, keys.slice(0, half), keys.slice(half)]) {
      if (share.length > 0) this.#readers.push(this.#read(share));
    }
    this.#rotating = this.#rotate();
  }

  /** Resolves when every send has its outcome and the readers are closed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#rotating;
    await Promise.all(this.#producers.map((producer) => producer.stop()));
    await Promise.all(this.#readers);
    this.#producers.length = 0;
  }

  /** As `stop`, but waits for no send: nobody will know what has become of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#rotating;
    await Promise.all(this.#producers.map((producer) => producer.crash()));
    await Promise.all(this.#readers);
  }

  #newProducer(index: number): ChaosProducer {
    const { run, keys, perSecond, seed, isEven } = this.#options;
    const random = new SeededRandom(seed * 1000 + index + PRODUCERS * this.#crashes);
    const turn = isEven ? { index, of: PRODUCERS } : undefined;
    return new ChaosProducer(
      { run, keys, perSecond: perSecond / PRODUCERS, random, turn },
      { client: this.#deps.clients.client(`chaos-producer-${index}`), writer: this.#deps.log.newProcess() },
    );
  }

  async #rotate(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      await sleep(CLIENT_LIFE_MS / PRODUCERS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const index = this.#crashes++ % PRODUCERS;
      const old = this.#producers[index];
      this.#producers[index] = this.#newProducer(index);
      await old?.crash();
    }
  }

  /** Reads as one process after the other; each goes on where the one before it was. */
  async #read(share: readonly Key[]): Promise<void> {
    const positions = new Map<string, number>();
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const writer = this.#deps.log.newProcess();
      await using client = this.#deps.clients.client("chaos-consumer");
      const life = AbortSignal.any([signal, AbortSignal.timeout(CLIENT_LIFE_MS)]);
      await readAndLog(
        { keys: share, isolation: "read_uncommitted", positions },
        { client, writer },
        { signal: life },
      ).catch(() => undefined);
      writer.complete(writer.invoke("crash"), "ok");
      if (!signal.aborted) await sleep(RETRY_PAUSE_MS);
    }
  }
}
