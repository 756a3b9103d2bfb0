import type { CompleteLine, InvokeLine, Outcome } from "./history-line.ts";
import { at } from "./key-history.ts";
import { outcomeOf } from "./outcome.ts";

const OUTCOMES: readonly Outcome[] = ["ok", "fail", "info"];
/** What the client library says of what it gives up when it is closed. */
const CLIENT_CLOSED = "CLOSED";
const INFO = OUTCOMES.indexOf("info");

/** The operations of a history in columns, numbered in the order of their invocation lines. */
export class OperationTable {
  readonly process: number[] = [];
  readonly invokedAt: number[] = [];
  /** Infinity for one that never ended. */
  readonly completedAt: number[] = [];
  /** Attempts of the client library; -1: not known. */
  readonly attempts: number[] = [];
  /** Sends that nobody will hear the outcome of because their own client was closed with them on the way. */
  readonly abandoned = new Set<number>();
  readonly #outcome: number[] = [];
  /** Process -> operation number of the process -> number here. */
  readonly #open = new Map<number, Map<number, number>>();
  readonly #names: string[] = [];

  get count(): number {
    return this.process.length;
  }

  /** Takes an invocation; undefined when the process has an open operation of that number. */
  invoke(line: InvokeLine): number | undefined {
    let open = this.#open.get(line.p);
    if (open === undefined) {
      open = new Map();
      this.#open.set(line.p, open);
    }
    if (open.has(line.i)) return undefined;
    const operation = this.process.length;
    open.set(line.i, operation);
    this.process.push(line.p);
    this.invokedAt.push(line.t);
    this.completedAt.push(Infinity);
    this.attempts.push(-1);
    // One that stays open to the end of the history has an unknown outcome.
    this.#outcome.push(INFO);
    this.#names.push(line.f);
    return operation;
  }

  /** Takes a completion; undefined when nothing was invoked that it completes. */
  complete(line: CompleteLine): number | undefined {
    const open = this.#open.get(line.p);
    const operation = open?.get(line.i);
    if (open === undefined || operation === undefined) return undefined;
    open.delete(line.i);
    this.completedAt[operation] = line.t;
    this.attempts[operation] = line.attempts?.length ?? -1;
    this.#outcome[operation] = OUTCOMES.indexOf(outcomeOf(line));
    if (line.type === "info" && line.err === CLIENT_CLOSED) this.abandoned.add(operation);
    return operation;
  }

  outcome(operation: number): Outcome {
    return OUTCOMES[at(this.#outcome, operation)] ?? "info";
  }

  isOk(operation: number): boolean {
    return this.#outcome[operation] === 0;
  }

  /** "send 12 of process 3", counted over the whole history. */
  describe(operation: number): string {
    return `${this.#names[operation] ?? "operation"} ${operation} of process ${at(this.process, operation)}`;
  }
}
