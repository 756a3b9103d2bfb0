import type { HistoryLine, MicroOperation, OperationName, Outcome } from "../history/history-line.ts";
import type { Completion } from "../history/history-writer.ts";
import type { History } from "../history/history.ts";

/** Puts what one simulated client does straight into a history, without a file between. */
export class SimHistory {
  readonly process: number;
  readonly #history: History;
  readonly #nowNs: () => number;
  #next = 0;

  constructor(
    options: { readonly process: number },
    deps: { readonly history: History; readonly nowNs: () => number },
  ) {
    this.process = options.process;
    this.#history = deps.history;
    this.#nowNs = deps.nowNs;
  }

  /** Begins an operation. Answers how to end it. */
  invoke(
    f: OperationName,
    mops?: readonly MicroOperation[],
  ): (type: Outcome, completion?: Completion) => void {
    return this.since(this.#nowNs(), f, mops);
  }

  /** Notes one that began at `t`: what comes to nothing need not be noted at all. */
  since(
    t: number,
    f: OperationName,
    mops?: readonly MicroOperation[],
  ): (type: Outcome, completion?: Completion) => void {
    const of = { i: this.#next++, p: this.process, f };
    this.line({ type: "invoke", ...of, t, ...(mops === undefined ? {} : { mops }) });
    return (type, completion = {}) => this.line({ type, ...of, t: this.#nowNs(), ...completion });
  }

  line(line: HistoryLine): void {
    this.#history.add(line);
  }
}
