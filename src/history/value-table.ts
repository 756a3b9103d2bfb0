import { Interner } from "./interner.ts";
import { at } from "./key-history.ts";

/** The values of a history: who sent each, where to, and what became of it. -1 stands for what is not known. */
export class ValueTable {
  readonly #names = new Interner();
  readonly #sessions = new Interner();
  /** Operation that sent it; -1: none that the history knows. */
  readonly writer: number[] = [];
  /** Key that it was sent to, or, of a value that nobody sent, the first key that it was read from. */
  readonly key: number[] = [];
  /** Offset that its send was answered. */
  readonly offset: number[] = [];
  /** Producer id and epoch as one number; -1: not known. */
  readonly session: number[] = [];
  readonly sequence: number[] = [];

  get count(): number {
    return this.writer.length;
  }

  /** The number of a value, new or known. */
  id(name: string): number {
    const value = this.#names.id(name);
    if (value === this.writer.length) {
      this.writer.push(-1);
      this.key.push(-1);
      this.offset.push(-1);
      this.session.push(-1);
      this.sequence.push(-1);
    }
    return value;
  }

  name(value: number): string {
    return this.#names.text(value);
  }

  /** Where the producer's books stand for this value. */
  setSession(value: number, producerId: number, producerEpoch: number, sequence: number): void {
    if (producerId < 0 || sequence < 0) return;
    this.session[value] = this.#sessions.id(`${producerId}/${producerEpoch}`);
    this.sequence[value] = sequence;
  }

  /** "producer id/epoch". */
  sessionName(session: number): string {
    return this.#sessions.text(session);
  }

  isSent(value: number): boolean {
    return at(this.writer, value) >= 0;
  }
}
