import { operationError } from "../base/errors.ts";
import type { PartitionState, WantedReplicas } from "../client/index.ts";

/** A partition of a plan, and where it is now. */
export interface PlannedPartition extends WantedReplicas {
  readonly current: readonly number[];
}

/** Where the partitions of a plan shall go. */
export interface PlanWishes {
  /** Brokers that may have replicas afterwards, without repeats. */
  readonly brokers: readonly number[];
  /** Undefined: each partition keeps its number of replicas. */
  readonly replicationFactor?: number | undefined;
}

/**
 * Spreads partitions over brokers: each gets its fair share of the replicas and of the preferred leaderships, and what
 * can stay stays, because each replica that moves is a copy of all its data. @throws LograftError INVALID_ARGUMENT when
 * there are fewer brokers than replicas.
 */
export function planMoves(states: readonly PartitionState[], wishes: PlanWishes): PlannedPartition[] {
  const { brokers } = wishes;
  const factors = states.map(({ replicas }) => wishes.replicationFactor ?? replicas.length);
  const most = Math.max(0, ...factors);
  if (most > brokers.length) {
    const named = brokers.join(", ");
    throw operationError(
      "INVALID_ARGUMENT",
      `${most} replicas need as many brokers, and there are ${brokers.length} (${named}); name more with --brokers`,
    );
  }
  const held = new Share(brokers, factors);
  const led = new Share(
    brokers,
    states.map(() => 1),
  );
  // All that stays is counted before anything new is placed, or a newcomer would take the place of what could stay.
  const kept = states.map(({ replicas }, index) =>
    replicas
      .filter((node) => held.has(node))
      .slice(0, factors[index])
      .filter((node) => held.take(node)),
  );
  return states.map(({ topic, partition, replicas: current }, index) => {
    const replicas = [...(kept[index] ?? [])];
    while (replicas.length < (factors[index] ?? 0)) replicas.push(held.takeLeast(replicas));
    const [preferred = -1] = replicas;
    const isKept = preferred === current[0] && led.take(preferred);
    const leader = isKept ? preferred : led.takeLeastOf(replicas);
    return {
      topic,
      partition,
      replicas: [leader, ...replicas.filter((node) => node !== leader)],
      current,
    };
  });
}

/** True when the plan changes something about this partition, be it only who leads it by preference. */
export function isMove({ replicas, current }: PlannedPartition): boolean {
  return replicas.length !== current.length || replicas.some((node, position) => node !== current[position]);
}

/**
 * The plan in a file: `{"version": 1, "partitions": [{"topic", "partition", "replicas"}]}`, as `--json` prints it; other
 * fields are left aside. @throws LograftError INVALID_ARGUMENT that names the file and what is wrong in it.
 */
export function parsePlan(text: string, path: string): WantedReplicas[] {
  const invalid = (cause: string): Error =>
    operationError("INVALID_ARGUMENT", `${path} is no plan: ${cause}; print one with --json`);
  let plan: unknown;
  try {
    plan = JSON.parse(text);
  } catch (error: unknown) {
    throw invalid(error instanceof Error ? error.message : "it is not JSON");
  }
  const partitions = fieldOf(plan, "partitions");
  if (fieldOf(plan, "version") !== 1) throw invalid('"version" is not 1');
  if (!Array.isArray(partitions) || partitions.length === 0)
    throw invalid('"partitions" is no list with entries');
  return partitions.map((entry: unknown, index) => {
    const topic = fieldOf(entry, "topic");
    const partition = fieldOf(entry, "partition");
    const replicas = fieldOf(entry, "replicas");
    if (
      typeof topic !== "string" ||
      !isCount(partition) ||
      !Array.isArray(replicas) ||
      !replicas.every(isCount)
    ) {
      throw invalid(
        `entry ${index} of "partitions" is not {"topic": text, "partition": n, "replicas": [n, ...]}`,
      );
    }
    return { topic, partition, replicas };
  });
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** How much of something each broker has, of which each should have about the same. */
class Share {
  readonly #counts: Map<number, number>;
  readonly #quota: number;

  constructor(brokers: readonly number[], amounts: readonly number[]) {
    this.#counts = new Map(brokers.map((node) => [node, 0]));
    const total = amounts.reduce((sum, amount) => sum + amount, 0);
    this.#quota = Math.ceil(total / Math.max(brokers.length, 1));
  }

  has(node: number): boolean {
    return this.#counts.has(node);
  }

  /** Counts one for this broker unless it has its share. */
  take(node: number): boolean {
    const count = this.#counts.get(node);
    if (count === undefined || count >= this.#quota) return false;
    this.#counts.set(node, count + 1);
    return true;
  }

  /** Counts one for the broker that has the least of those not in `others`. */
  takeLeast(others: readonly number[]): number {
    return this.takeLeastOf([...this.#counts.keys()].filter((node) => !others.includes(node)));
  }

  /** Counts one for the broker that has the least of these; the first of equals. */
  takeLeastOf(nodes: readonly number[]): number {
    const countOf = (node: number): number => this.#counts.get(node) ?? 0;
    const least = nodes.reduce((best, node) => (countOf(node) < countOf(best) ? node : best));
    this.#counts.set(least, countOf(least) + 1);
    return least;
  }
}
