import type {
  CompleteLine,
  HistoryLine,
  InvokeLine,
  MicroOperation,
  OperationName,
  Outcome,
} from "./history-line.ts";
import { formatHistoryLine } from "./parse-line.ts";

/** What is told at the end of an operation besides its outcome. */
export type Completion = Omit<CompleteLine, "type" | "i" | "p" | "f" | "t">;

/** An operation that has begun. */
export interface OpenOperation {
  readonly i: number;
  readonly f: OperationName;
  readonly invokedAt: number;
}

/**
 * Writes the history of one process. It holds nothing back: who gives `write` decides how lines are gathered, and brings
 * them to the disk at least every 100 ms.
 */
export class HistoryWriter {
  readonly process: number;
  readonly #write: (line: string) => void;
  readonly #nowNs: () => number;
  #next = 0;

  constructor(
    options: { readonly process: number },
    deps: { readonly write: (line: string) => void; readonly nowNs: () => number },
  ) {
    this.process = options.process;
    this.#write = deps.write;
    this.#nowNs = deps.nowNs;
  }

  /** Before anything leaves the process. */
  invoke(f: OperationName, mops?: readonly MicroOperation[]): OpenOperation {
    const open = { i: this.#next++, f, invokedAt: this.#nowNs() };
    const line: InvokeLine = {
      type: "invoke",
      i: open.i,
      p: this.process,
      f,
      t: open.invokedAt,
      ...(mops === undefined ? {} : { mops }),
    };
    this.line(line);
    return open;
  }

  /** After everything of it is known. */
  complete(open: OpenOperation, type: Outcome, completion: Completion = {}): void {
    this.line({ type, i: open.i, p: this.process, f: open.f, t: this.#nowNs(), ...completion });
  }

  /** A line that is not of an operation. */
  line(line: HistoryLine): void {
    this.#write(formatHistoryLine(line));
  }
}
