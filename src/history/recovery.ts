import type { Fault, History } from "./history.ts";

const NS_PER_MS = 1e6;

/** From a moment on the cluster was whole (every broker unfenced, every ISR full), or was not. */
interface Turn {
  readonly at: number;
  readonly isWhole: boolean;
}

/** How the observer saw the cluster heal. */
export class Recovery {
  readonly #turns: readonly Turn[];
  readonly #starts: readonly number[];

  constructor(history: History) {
    this.#turns = turnsOf(history);
    this.#starts = [...history.faults.values()].map((fault) => fault.startedAt).toSorted((a, b) => a - b);
  }

  /** From the end of a fault until the cluster was whole, ms; undefined when another fault (or the end) came before. */
  afterMs(fault: Fault): number | undefined {
    const until = this.#starts.find((start) => start > fault.startedAt) ?? Infinity;
    let isWhole = false;
    for (const turn of this.#turns) {
      if (turn.at <= fault.endedAt) isWhole = turn.isWhole;
      else if (isWhole) break;
      else if (turn.isWhole && turn.at < until) return (turn.at - fault.endedAt) / NS_PER_MS;
    }
    return isWhole ? 0 : undefined;
  }
}

function turnsOf(history: History): Turn[] {
  const changes: { readonly at: number; readonly subject: string; readonly isWhole: boolean }[] = [];
  for (const { at, count } of history.fenced) changes.push({ at, subject: "", isWhole: count === 0 });
  for (const { name, observed } of history.keys) {
    for (const { at, isFull } of observed) changes.push({ at, subject: name, isWhole: isFull });
  }
  changes.sort((a, b) => a.at - b.at);
  const broken = new Set<string>();
  const turns: Turn[] = [];
  for (const { at, subject, isWhole } of changes) {
    if (isWhole) broken.delete(subject);
    else broken.add(subject);
    turns.push({ at, isWhole: broken.size === 0 });
  }
  return turns;
}
