import type { SeededRandom } from "../../src/platform/random.ts";
import type {
  CompleteLine,
  HistoryLine,
  MicroOperation,
  OperationName,
  ReadRecord,
} from "../../src/history/history-line.ts";

interface Entry {
  readonly value: string;
  readonly leaderEpoch: number;
  readonly process: number;
  readonly sequence: number;
}

/** A log that does everything right: one place for each record, leader epochs that rise, control batches in between. */
class ModelLog {
  readonly entries: (Entry | undefined)[] = [];
  leaderEpoch = 0;
  leader = 1;
  readonly #sequences = new Map<number, number>();

  append(process: number, value: string): number {
    const sequence = this.#sequences.get(process) ?? 0;
    this.#sequences.set(process, sequence + 1);
    return this.entries.push({ value, leaderEpoch: this.leaderEpoch, process, sequence }) - 1;
  }

  read(from: number, count: number): { readonly records: ReadRecord[]; readonly next: number } {
    const records: ReadRecord[] = [];
    let next = from;
    for (; next < this.entries.length && records.length < count; next++) {
      const entry = this.entries[next];
      if (entry === undefined) continue;
      records.push([next, entry.value, entry.leaderEpoch, entry.process, 0, entry.sequence]);
    }
    return { records, next };
  }
}

interface OpenSend {
  readonly i: number;
  readonly key: string;
  readonly values: readonly string[];
  offsets: readonly number[] | undefined;
}

/**
 * Makes histories that a correct cluster could have led to, with everything that looks like a fault and is none: sends
 * that are lost or arrive late, answers that are lost, failed polls, seeks, control batches, changes of leaders, clients
 * that end in the middle.
 */
export class LegalHistory {
  readonly lines: HistoryLine[] = [
    { type: "run", run: "legal", profile: "idempotent", minSends: 0, inFlight: 5 },
  ];
  readonly #random: SeededRandom;
  readonly #logs = new Map<string, ModelLog>([
    ["k-0", new ModelLog()],
    ["k-1", new ModelLog()],
  ]);
  readonly #producers = new Map<number, OpenSend[]>();
  readonly #consumers = new Map<number, Map<string, number>>();
  readonly #late: (readonly [process: number, send: OpenSend])[] = [];
  readonly #topics = new Set<string>();
  #now = 0;
  #index = 0;
  #counter = 0;
  #nextProcess = 0;

  constructor(random: SeededRandom, steps: number) {
    this.#random = random;
    for (let producer = 0; producer < 3; producer++) this.#producers.set(this.#nextProcess++, []);
    for (let consumer = 0; consumer < 2; consumer++) this.#consumers.set(this.#nextProcess++, new Map());
    for (let step = 0; step < steps; step++) this.#step();
    for (const [process, send] of this.#late.splice(0)) this.#append(process, send);
    for (let pass = 0; pass < 2; pass++) this.#pass(this.#nextProcess++);
  }

  #step(): void {
    this.#now += 1 + this.#random.below(100);
    const action = this.#random.below(20);
    if (action < 13) this.#produce(this.#pick([...this.#producers.keys()]));
    else if (action < 17) this.#consume(this.#pick([...this.#consumers.keys()]));
    else if (action === 17) this.#disturb();
    else if (action === 18) this.#ask();
    else this.#changeTopic();
  }

  /** Begins a send, or lets the producer's oldest one go a step further. */
  #produce(process: number): void {
    const open = this.#producers.get(process) ?? [];
    const waiting = open.find((send) => send.offsets === undefined);
    const done = open.findIndex((send) => send.offsets !== undefined);
    const choice = this.#random.below(4);
    if (open.length < 5 && choice === 0) this.#beginSend(process, open);
    else if (waiting !== undefined && choice < 3) this.#append(process, waiting);
    else if (done >= 0) this.#answer(process, open, done);
    else if (open[0] !== undefined && this.#random.below(3) === 0) this.#refuse(process, open);
  }

  #beginSend(process: number, open: OpenSend[]): void {
    const key = this.#pick([...this.#logs.keys()]);
    const values = Array.from({ length: 1 + this.#random.below(3) }, () => `v${this.#counter++}`);
    const i = this.#invoke(
      process,
      "send",
      values.map((value) => ["send", key, value] as const),
    );
    open.push({ i, key, values, offsets: undefined });
  }

  #append(process: number, send: OpenSend): void {
    send.offsets = send.values.map((value) => this.#log(send.key).append(process, value));
  }

  /** Mostly the answer comes through; sometimes it is lost, and the process ends with all that it had open. */
  #answer(process: number, open: OpenSend[], index: number): void {
    const [send] = open.splice(index, 1);
    if (send?.offsets === undefined) return;
    const { i, key, values, offsets } = send;
    const isLost = this.#random.below(8) === 0;
    const log = this.#log(key);
    this.#complete(process, i, "send", {
      type: isLost ? "info" : "ok",
      mops: values.map((value, at) => ["send", key, isLost ? -1 : (offsets[at] ?? -1), value] as const),
      ...(isLost ? { err: "TIMEOUT" } : { node: log.leader, le: log.leaderEpoch }),
    });
    if (isLost) this.#endProducer(process, open);
  }

  /** The oldest send is refused before it was appended; nothing of it will ever be seen. */
  #refuse(process: number, open: OpenSend[]): void {
    const [send] = open;
    if (send === undefined || send.offsets !== undefined) return;
    open.shift();
    this.#complete(process, send.i, "send", { type: "fail", err: "NOT_ENOUGH_REPLICAS" });
  }

  /** What it had open stays open: some of it arrives late, some never. */
  #endProducer(process: number, open: OpenSend[]): void {
    this.#producers.delete(process);
    for (const send of open) {
      if (send.offsets !== undefined) continue;
      // The first one that never arrives is the last of the session that could.
      if (this.#random.below(3) === 0) break;
      this.#late.push([process, send]);
    }
    this.#producers.set(this.#nextProcess++, []);
  }

  #consume(process: number): void {
    const key = this.#pick([...this.#logs.keys()]);
    const positions = this.#consumers.get(process) ?? new Map<string, number>();
    const log = this.#log(key);
    if (this.#random.below(10) === 0) {
      const position = this.#random.below(log.entries.length + 1);
      positions.set(key, position);
      const i = this.#invoke(process, "seek");
      this.#complete(process, i, "seek", { type: "ok", mops: [["seek", key, position]] });
      return;
    }
    const i = this.#invoke(process, "poll", [["poll"]]);
    this.#now += this.#random.below(50);
    if (this.#random.below(10) === 0) {
      // The records it may have been given are gone; it goes on somewhere.
      this.#complete(process, i, "poll", { type: "info", err: "CONNECTION_FAILED" });
      positions.set(key, this.#random.below(log.entries.length + 1));
      return;
    }
    const { records, next } = log.read(positions.get(key) ?? 0, 1 + this.#random.below(5));
    positions.set(key, next);
    this.#complete(process, i, "poll", { type: "ok", mops: [["poll", { [key]: records }]] });
  }

  #disturb(): void {
    const log = this.#log(this.#pick([...this.#logs.keys()]));
    if (this.#random.below(2) === 0) log.entries.push(undefined);
    else {
      log.leaderEpoch++;
      log.leader = 1 + this.#random.below(3);
    }
    const late = this.#late.shift();
    if (late !== undefined) this.#append(...late);
  }

  #ask(): void {
    const key = this.#pick([...this.#logs.keys()]);
    const process = 1000;
    const i = this.#invoke(process, "listOffsets");
    this.#now += 1;
    const log = this.#log(key);
    this.#complete(process, i, "listOffsets", {
      type: "ok",
      mops: [["end", key, log.entries.length]],
      node: log.leader,
      le: log.leaderEpoch,
    });
  }

  #changeTopic(): void {
    const name = `t${this.#random.below(3)}`;
    const process = 1001;
    const isThere = this.#topics.has(name);
    const choice = this.#random.below(2);
    const f: OperationName = choice === 0 ? "describe" : isThere ? "deleteTopic" : "createTopic";
    const i = this.#invoke(process, f);
    this.#now += 1;
    if (f === "createTopic") this.#topics.add(name);
    if (f === "deleteTopic") this.#topics.delete(name);
    if (f !== "describe") this.#index++;
    const isLost = f !== "describe" && this.#random.below(5) === 0;
    this.#complete(process, i, f, {
      type: isLost ? "info" : "ok",
      mops: [["topic", name, this.#topics.has(name)]],
      index: this.#index,
    });
  }

  #pass(process: number): void {
    for (const [key, log] of this.#logs) {
      const since = this.#now++;
      const end = log.entries.length;
      const i = this.#invoke(process, "poll", [["poll"]]);
      const { records } = log.read(0, end);
      this.#complete(process, i, "poll", { type: "ok", mops: [["poll", { [key]: records }]] });
      this.lines.push({
        type: "final",
        t: this.#now,
        p: process,
        k: key,
        start: 0,
        end,
        since,
        reached: end,
      });
    }
  }

  #invoke(p: number, f: OperationName, mops?: readonly MicroOperation[]): number {
    const i = this.lines.length;
    this.lines.push({ type: "invoke", i, p, f, t: this.#now++, ...(mops === undefined ? {} : { mops }) });
    return i;
  }

  #complete(
    p: number,
    i: number,
    f: OperationName,
    rest: Pick<CompleteLine, "type"> & Partial<CompleteLine>,
  ): void {
    this.lines.push({ i, p, f, t: this.#now++, ...rest });
  }

  #log(key: string): ModelLog {
    const log = this.#logs.get(key);
    if (log === undefined) throw new Error(`no log ${key}`);
    return log;
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#random.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}
