import { assertNever } from "../../base/assert.ts";
import { parseTopicRegex, type CharacterSet, type RegexNode } from "./topic-regex-parser.ts";

/**
 * Of a compiled pattern. The time for a name is at most its length times this, so the worst pattern there can be takes a
 * fraction of a millisecond for a name of usual length.
 */
const MAX_INSTRUCTIONS = 1_000;

/** What compiling answers; `reason` says what is wrong with the pattern. */
export type CompiledTopicRegex =
  | { readonly ok: true; readonly regex: TopicRegex }
  | { readonly ok: false; readonly reason: string };

/**
 * A regular expression over whole topic names (KIP-848). The pattern comes from outside, so it runs as a Thompson automaton,
 * which follows all ways at once: its time grows with the name, never exponentially with the pattern.
 */
export class TopicRegex {
  readonly #program: readonly Instruction[];
  /** For each instruction the step in which it was last added. */
  readonly #seen: Int32Array;
  #step = 0;

  /** Compiles a pattern. */
  static compile(pattern: string): CompiledTopicRegex {
    const parsed = parseTopicRegex(pattern);
    if (!parsed.ok) return parsed;
    const compiler = new Compiler();
    if (!compiler.compile(parsed.node)) {
      return { ok: false, reason: "its repetitions make it too large; count less, or use * and +" };
    }
    return { ok: true, regex: new TopicRegex(compiler.program) };
  }

  private constructor(program: readonly Instruction[]) {
    this.#program = program;
    this.#seen = new Int32Array(program.length);
  }

  /** True when the pattern matches all of `name`. */
  matches(name: string): boolean {
    this.#seen.fill(0);
    this.#step = 0;
    let states = this.#closure([0], { isStart: true, isEnd: name.length === 0 });
    for (let at = 0; at < name.length && states.length > 0; at++) {
      const code = name.charCodeAt(at);
      const reached: number[] = [];
      for (const state of states) {
        const instruction = this.#program[state];
        if (instruction?.type === "set" && instruction.set[code] === 1) reached.push(state + 1);
      }
      states = this.#closure(reached, { isStart: false, isEnd: at + 1 === name.length });
    }
    return states.some((state) => this.#program[state]?.type === "match");
  }

  /** What can be reached without taking a character, each once. */
  #closure(from: number[], at: { readonly isStart: boolean; readonly isEnd: boolean }): readonly number[] {
    this.#step += 1;
    const states: number[] = [];
    for (let state = from.pop(); state !== undefined; state = from.pop()) {
      if (this.#seen[state] === this.#step) continue;
      this.#seen[state] = this.#step;
      const instruction = this.#program[state];
      switch (instruction?.type) {
        case undefined:
          break;
        case "set":
        case "match":
          states.push(state);
          break;
        case "start":
          if (at.isStart) from.push(state + 1);
          break;
        case "end":
          if (at.isEnd) from.push(state + 1);
          break;
        case "fork":
          from.push(instruction.first, instruction.second);
          break;
      }
    }
    return states;
  }
}

/** Goes on with the next one, unless it says otherwise. */
type Instruction =
  | { readonly type: "set"; readonly set: CharacterSet }
  | { readonly type: "start" }
  | { readonly type: "end" }
  | { readonly type: "match" }
  | { readonly type: "fork"; readonly first: number; readonly second: number };

class Compiler {
  readonly program: Instruction[] = [];
  /** Counts nodes, also those that make no instruction, like `(){1000}` in itself. */
  #nodes = 0;

  /** False: too large. */
  compile(node: RegexNode): boolean {
    this.#emit(node);
    this.program.push({ type: "match" });
    return !this.#isTooLarge;
  }

  get #isTooLarge(): boolean {
    return this.#nodes > 2 * MAX_INSTRUCTIONS || this.program.length > MAX_INSTRUCTIONS;
  }

  #emit(node: RegexNode): void {
    this.#nodes += 1;
    if (this.#isTooLarge) return;
    switch (node.type) {
      case "set":
      case "start":
      case "end":
        this.program.push(node);
        return;
      case "sequence":
        for (const item of node.items) this.#emit(item);
        return;
      case "choice":
        this.#emitChoice(node.items);
        return;
      case "repeat":
        this.#emitRepeat(node.item, node.min, node.max);
        return;
      default:
        assertNever(node);
    }
  }

  #emitChoice(items: readonly RegexNode[]): void {
    const ends: number[] = [];
    for (const [index, item] of items.entries()) {
      const isLast = index === items.length - 1;
      const fork = isLast ? undefined : this.#reserve();
      this.#emit(item);
      if (fork === undefined) break;
      ends.push(this.#reserve());
      this.#fork(fork, fork + 1, this.program.length);
    }
    for (const end of ends) this.#fork(end, this.program.length, this.program.length);
  }

  #emitRepeat(item: RegexNode, min: number, max: number): void {
    for (let count = 0; count < min && !this.#isTooLarge; count++) this.#emit(item);
    if (max === Infinity) {
      const loop = this.#reserve();
      this.#emit(item);
      this.#fork(this.#reserve(), loop, loop);
      this.#fork(loop, loop + 1, this.program.length);
      return;
    }
    const forks: number[] = [];
    for (let count = min; count < max && !this.#isTooLarge; count++) {
      forks.push(this.#reserve());
      this.#emit(item);
    }
    for (const fork of forks) this.#fork(fork, fork + 1, this.program.length);
  }

  /** The place of a fork whose ways are not known yet. */
  #reserve(): number {
    return this.program.push({ type: "fork", first: 0, second: 0 }) - 1;
  }

  #fork(at: number, first: number, second: number): void {
    this.program[at] = { type: "fork", first, second };
  }
}
