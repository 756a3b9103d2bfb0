import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "../../src/base/errors.ts";
import type { Admin } from "../../src/client/index.ts";
import { isLograftError } from "../../src/client/index.ts";

/** What must hold for a topic in the end: there, with the id that was acknowledged ("" if none was); gone; or not known. */
type Expectation =
  | { readonly state: "exists"; readonly topicId: string }
  | { readonly state: "gone" | "open" };

/** What a stream did and found; it is good when `faults` is empty. */
export interface StreamVerdict {
  readonly created: number;
  readonly deleted: number;
  /** Changes that were sent again because their outcome was not known. */
  readonly retried: number;
  /** Retried changes that turned out to have been made by an earlier attempt. */
  readonly foundDone: number;
  readonly faults: readonly string[];
}

/** Codes after which nobody knows whether the change was made, so that it is sent again. */
const INDEFINITE: ReadonlySet<string> = new Set([
  "CONNECTION_FAILED",
  "NO_QUORUM",
  "NOT_CONTROLLER",
  "TIMEOUT",
  "REQUEST_TIMED_OUT",
  "NETWORK_EXCEPTION",
]);
const ATTEMPT_TIMEOUT_MS = 5000;
const RETRY_PAUSE_MS = 5;
const STOP_TIMEOUT_MS = 30_000;

/**
 * Creates topics and deletes old ones without end, in several workers at once, and keeps book: a change that was
 * acknowledged must be there in the end, and none may be made twice. A change whose outcome is not known is tried again
 * until it is; that an earlier attempt has made it is then no fault, while on the first attempt it is.
 */
export class TopicStream {
  readonly #admin: Admin;
  readonly #options: {
    readonly prefix: string;
    readonly workers: number;
    readonly kept: number;
    readonly pauseMs: number;
  };
  readonly #expected = new Map<string, Expectation>();
  readonly #faults: string[] = [];
  readonly #running: Promise<void>[] = [];
  #waiting: { readonly since: number; readonly resolve: (at: number) => void }[] = [];
  #isStopping = false;
  #created = 0;
  #deleted = 0;
  #retried = 0;
  #foundDone = 0;

  /** @param options.kept topics that a worker has before it deletes its oldest for each new one. */
  constructor(
    admin: Admin,
    options: {
      readonly prefix: string;
      readonly workers: number;
      readonly kept: number;
      readonly pauseMs: number;
    },
  ) {
    this.#admin = admin;
    this.#options = options;
  }

  start(): void {
    for (let worker = 0; worker < this.#options.workers; worker++) this.#running.push(this.#work(worker));
  }

  /** Acknowledged changes so far. */
  get changes(): number {
    return this.#created + this.#deleted;
  }

  /** Resolves with the time (performance.now) of the first acknowledgement of a change that began after this call. */
  nextChange(): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push({ since: performance.now(), resolve });
    });
  }

  /** Ends the workers; each finishes the change it is at. @throws when one does not within 30 s. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const late = new AbortController();
    const deadline = sleep(STOP_TIMEOUT_MS, "late", { signal: late.signal }).catch(() => "done");
    const outcome = await Promise.race([Promise.all(this.#running), deadline]);
    late.abort();
    if (outcome === "late") throw new Error("a change was not acknowledged within 30 s after the last fault");
  }

  /** Compares the book with what the cluster has; of the topics with this stream's prefix. */
  async verify(): Promise<StreamVerdict> {
    const found = new Map<string, string[]>();
    for (const { name, topicId } of await this.#admin.listTopics()) {
      if (name.startsWith(`${this.#options.prefix}-`)) found.set(name, [...(found.get(name) ?? []), topicId]);
    }
    for (const [name, expected] of this.#expected) {
      const ids = found.get(name) ?? [];
      if (expected.state === "exists") {
        if (ids.length === 0) this.#faults.push(`lost: ${name} was acknowledged and is not there`);
        else if (expected.topicId !== "" && ids[0] !== expected.topicId) {
          this.#faults.push(`made twice: ${name} was acknowledged as ${expected.topicId} and is ${ids[0]}`);
        }
      }
      if (expected.state === "gone" && ids.length > 0) {
        this.#faults.push(`lost: the deletion of ${name} was acknowledged and it is there`);
      }
      if (ids.length > 1) this.#faults.push(`made twice: ${name} is there ${ids.length} times`);
    }
    for (const name of found.keys()) {
      if (!this.#expected.has(name)) this.#faults.push(`invented: ${name} was never asked for`);
    }
    return {
      created: this.#created,
      deleted: this.#deleted,
      retried: this.#retried,
      foundDone: this.#foundDone,
      faults: this.#faults,
    };
  }

  async #work(worker: number): Promise<void> {
    const mine: string[] = [];
    for (let count = 0; !this.#isStopping; count++) {
      const name = `${this.#options.prefix}-${worker}-${count}`;
      this.#expected.set(name, { state: "open" });
      const topicId = await this.#change(name, "TOPIC_ALREADY_EXISTS", () => this.#create(name));
      if (topicId === undefined) continue;
      this.#created++;
      this.#expected.set(name, { state: "exists", topicId });
      mine.push(name);
      const oldest = mine.length > this.#options.kept ? mine.shift() : undefined;
      if (oldest !== undefined) await this.#drop(oldest);
      await sleep(this.#options.pauseMs);
    }
  }

  async #create(name: string): Promise<string> {
    const [outcome] = await this.#admin.createTopics([{ name, partitions: 1 }], {
      timeoutMs: ATTEMPT_TIMEOUT_MS,
    });
    return outcome?.topicId ?? "";
  }

  async #drop(name: string): Promise<void> {
    this.#expected.set(name, { state: "open" });
    const done = await this.#change(name, "UNKNOWN_TOPIC_OR_PARTITION", async () => {
      await this.#admin.deleteTopics([name], { timeoutMs: ATTEMPT_TIMEOUT_MS });
      return "";
    });
    if (done === undefined) return;
    this.#deleted++;
    this.#expected.set(name, { state: "gone" });
  }

  /** Makes one change; undefined when its outcome stays open. @param doneCode what an attempt gets that comes too late. */
  async #change(name: string, doneCode: string, attempt: () => Promise<string>): Promise<string | undefined> {
    for (let attempts = 1; ; attempts++) {
      const startedAt = performance.now();
      try {
        const value = await attempt();
        this.#acknowledged(startedAt);
        return value;
      } catch (error) {
        const code = isLograftError(error) ? error.code : "";
        if (code === doneCode) {
          if (attempts === 1) this.#faults.push(`made twice: the first attempt for ${name} got ${code}`);
          this.#foundDone++;
          return "";
        }
        if (!INDEFINITE.has(code)) {
          this.#faults.push(`refused: ${name}: ${code} ${errorMessage(error)}`);
          return undefined;
        }
        this.#retried++;
        await sleep(RETRY_PAUSE_MS);
      }
    }
  }

  #acknowledged(startedAt: number): void {
    const at = performance.now();
    const [early, rest] = [
      this.#waiting.filter((waiter) => startedAt >= waiter.since),
      this.#waiting.filter((waiter) => startedAt < waiter.since),
    ];
    this.#waiting = rest;
    for (const waiter of early) waiter.resolve(at);
  }
}

const TOPICS_AT_ONCE = 100;

/** Creates `prefix-0` to `prefix-N`, in requests of a hundred. */
export async function createTopics(admin: Admin, prefix: string, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  while (names.length > 0) {
    const some = names.splice(0, TOPICS_AT_ONCE);
    await admin.createTopics(some.map((name) => ({ name, partitions: 1 })));
  }
}
