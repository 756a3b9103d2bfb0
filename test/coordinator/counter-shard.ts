import type {
  CoordinatorRecord,
  DecisionContext,
  Effects,
  RecordCodec,
  ReplyTo,
  Shard,
} from "../../src/coordinator/shard.ts";

/** A counter as it stands after a change. */
export interface CounterRecord {
  readonly name: string;
  readonly count: number;
}

interface Parked {
  readonly to: ReplyTo<number>;
  readonly atLeast: number;
}

/** A toy coordinator: counters that can be raised, read and waited for, and that vanish when their time is over. */
export class CounterShard implements Shard<CounterRecord> {
  readonly counts = new Map<string, number>();
  readonly #parked = new Map<string, Parked[]>();
  /** Of this term only. */
  readonly #deadlines = new Map<string, number>();
  loadedAtMs: number | undefined;
  metadataNews = 0;

  replay({ name, count }: CounterRecord): void {
    this.counts.set(name, count);
  }

  onLoaded(context: DecisionContext): void {
    this.loadedAtMs = context.nowMs;
  }

  onMetadata(): void {
    this.metadataNews += 1;
  }

  get nextDeadlineMs(): number {
    return Math.min(...this.#deadlines.values(), Number.POSITIVE_INFINITY);
  }

  expire({ nowMs }: DecisionContext, effects: Effects<CounterRecord>): void {
    for (const [name, deadlineMs] of this.#deadlines) {
      if (deadlineMs > nowMs) continue;
      this.#deadlines.delete(name);
      effects.record({ name, count: 0 });
    }
  }

  /** Raises each counter by one; answers the sum of them. */
  add(
    names: readonly string[],
    to: ReplyTo<number>,
    _context: DecisionContext,
    effects: Effects<CounterRecord>,
  ): void {
    let sum = 0;
    for (const name of names) {
      const count = (this.counts.get(name) ?? 0) + 1;
      effects.record({ name, count });
      sum += count;
      this.#wake(name, count, effects);
    }
    effects.reply(to, sum);
  }

  read(name: string, to: ReplyTo<number>, _context: DecisionContext, effects: Effects<CounterRecord>): void {
    effects.reply(to, this.counts.get(name) ?? 0);
  }

  /** Answered when the counter is at `atLeast`. */
  waitFor(request: { readonly name: string; readonly atLeast: number }, to: ReplyTo<number>): void {
    const parked = this.#parked.get(request.name) ?? [];
    parked.push({ to, atLeast: request.atLeast });
    this.#parked.set(request.name, parked);
  }

  /** From now the counter has so long to live; each call begins anew. */
  keep(
    request: { readonly name: string; readonly forMs: number },
    to: ReplyTo<number>,
    { nowMs }: DecisionContext,
    effects: Effects<CounterRecord>,
  ): void {
    this.#deadlines.set(request.name, nowMs + request.forMs);
    effects.reply(to, 0);
  }

  /** Records first, then fails as a bug would. */
  fail(name: string, _to: ReplyTo<number>, _context: DecisionContext, effects: Effects<CounterRecord>): void {
    effects.record({ name, count: -1 });
    throw new Error("a bug");
  }

  #wake(name: string, count: number, effects: Effects<CounterRecord>): void {
    const parked = this.#parked.get(name) ?? [];
    this.#parked.set(
      name,
      parked.filter(({ atLeast }) => atLeast > count),
    );
    for (const { to, atLeast } of parked) if (atLeast <= count) effects.reply(to, count);
  }
}

export const counterCodec: RecordCodec<CounterRecord> = {
  encode: ({ name, count }) => ({ key: Buffer.from(name), value: Buffer.from(String(count)) }),
  decode: ({ key, value }: CoordinatorRecord) =>
    key.toString() === "from-the-future" ? undefined : { name: key.toString(), count: Number(value) },
};
