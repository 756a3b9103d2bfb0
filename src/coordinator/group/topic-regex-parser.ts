/** Of a pattern, in characters. */
export const MAX_PATTERN_LENGTH = 1_000;
/** Of groups within groups. */
const MAX_DEPTH = 50;
/** Of a counted repetition; no topic name is longer than 249. */
const MAX_COUNT = 1_000;
/** Characters of topic names are ASCII, so a set of characters is a table of 128. */
const CHARACTERS = 128;

/** Which ASCII characters match. Others never do: no topic name has them. */
export type CharacterSet = Uint8Array;

/** A pattern as a tree. */
export type RegexNode =
  | { readonly type: "set"; readonly set: CharacterSet }
  | { readonly type: "start" }
  | { readonly type: "end" }
  | { readonly type: "sequence"; readonly items: readonly RegexNode[] }
  | { readonly type: "choice"; readonly items: readonly RegexNode[] }
  | {
      readonly type: "repeat";
      readonly item: RegexNode;
      readonly min: number;
      /** Inclusive; Infinity: no end. */
      readonly max: number;
    };

/** What parsing answers; `reason` says what is wrong and where. */
export type ParsedRegex =
  | { readonly ok: true; readonly node: RegexNode }
  | { readonly ok: false; readonly reason: string };

/**
 * Reads the part of RE2's syntax that makes sense for topic names: characters, `.`, classes, `\d \w \s` and their
 * negations, escapes, groups (also named and `(?:`), `(?i)`, `|`, `* + ? {m,n}` (lazy ones match the same), `^ $ \A \z`.
 * What needs backtracking (references, look-around, possessive and atomic groups) is refused by name.
 */
export function parseTopicRegex(pattern: string): ParsedRegex {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    const reason = `it has ${pattern.length} characters, and at most ${MAX_PATTERN_LENGTH} are taken; shorten it`;
    return { ok: false, reason };
  }
  try {
    return { ok: true, node: new Parser(pattern).parse() };
  } catch (error: unknown) {
    if (error instanceof SyntaxProblem) return { ok: false, reason: error.message };
    throw error;
  }
}

/** Leaves the descent; never leaves this file. */
class SyntaxProblem extends Error {}

const PERL_CLASSES: Readonly<Record<string, CharacterSet>> = {
  d: ranges("09"),
  w: ranges("09AZaz__"),
  s: ranges("\t\n\f\r  "),
};
const CONTROL_ESCAPES: Readonly<Record<string, string>> = {
  t: "\t",
  n: "\n",
  r: "\r",
  f: "\f",
  v: "\v",
  a: "\x07",
};
/** `.` in RE2: all but a line feed. */
const ANY = negated(ranges("\n\n"));

class Parser {
  readonly #pattern: string;
  #at = 0;
  #depth = 0;
  #ignoresCase = false;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#pattern.length) this.#fail("a ')' that closes nothing");
    return node;
  }

  #choice(): RegexNode {
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    return items.length === 1 && items[0] !== undefined ? items[0] : { type: "choice", items };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (this.#at < this.#pattern.length && !this.#sees("|") && !this.#sees(")")) {
      const atom = this.#atom();
      if (atom !== undefined) items.push(this.#repeated(atom));
    }
    return { type: "sequence", items };
  }

  /** Undefined: flags for what follows, like `(?i)`. */
  #atom(): RegexNode | undefined {
    const character = this.#next();
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return { type: "set", set: this.#class() };
      case ".":
        return { type: "set", set: ANY };
      case "^":
        return { type: "start" };
      case "$":
        return { type: "end" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        return this.#fail(`a '${character}' that repeats nothing; write '\\${character}' for the character`);
      default:
        return this.#literal(character);
    }
  }

  #group(): RegexNode | undefined {
    const ignoredCase = this.#ignoresCase;
    if (this.#take("?") && this.#groupKind() === "flags") return undefined;
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) this.#fail(`more than ${MAX_DEPTH} groups within groups`);
    const node = this.#choice();
    if (!this.#take(")")) this.#fail("a '(' without its ')'");
    this.#depth -= 1;
    this.#ignoresCase = ignoredCase;
    return node;
  }

  /** After "(?". */
  #groupKind(): "group" | "flags" {
    const rest = this.#pattern.slice(this.#at);
    if (/^(?:<?[=!])/.test(rest)) this.#fail("look-ahead and look-behind are not supported");
    if (rest.startsWith(">")) this.#fail("atomic groups are not supported");
    const name = /^P?<[A-Za-z_][A-Za-z0-9_]*>/.exec(rest)?.[0];
    if (name !== undefined) {
      this.#at += name.length;
      return "group";
    }
    const flags = /^(i?)([:)])/.exec(rest);
    if (flags === null)
      this.#fail("of groups that begin with '(?' only (?:...), (?i), (?i:...) and named ones");
    this.#at += flags[0].length;
    if (flags[1] === "i") this.#ignoresCase = true;
    return flags[2] === ":" ? "group" : "flags";
  }

  #repeated(item: RegexNode): RegexNode {
    const counts = this.#counts();
    if (counts === undefined) return item;
    const [min, max] = counts;
    if (this.#take("+")) this.#fail("possessive repetitions are not supported");
    this.#take("?"); // Lazy or greedy makes no difference to whether the whole name matches.
    if (this.#counts() !== undefined)
      this.#fail("a repetition of a repetition; put the inner one in (?:...)");
    return { type: "repeat", item, min, max };
  }

  #counts(): readonly [min: number, max: number] | undefined {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    if (!this.#sees("{")) return undefined;
    // A brace that is no repetition stands for itself, as in RE2.
    const written = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(this.#pattern.slice(this.#at));
    if (written === null) return undefined;
    this.#at += written[0].length;
    const min = Number(written[1]);
    const max = written[3] === "" ? Infinity : Number(written[3] ?? min);
    if (min > max) this.#fail(`a repetition from ${min} to ${max}`);
    if (min > MAX_COUNT || (max > MAX_COUNT && max !== Infinity)) {
      this.#fail(`a repetition of more than ${MAX_COUNT}`);
    }
    return [min, max];
  }

  #escape(): RegexNode {
    if (this.#take("A")) return { type: "start" };
    if (this.#take("z")) return { type: "end" };
    const set = this.#classEscape();
    return set === undefined ? this.#literal(this.#escapedCharacter()) : { type: "set", set };
  }

  /** After a backslash: `d`, `W` and the like; undefined for anything else. */
  #classEscape(): CharacterSet | undefined {
    const letter = this.#pattern[this.#at] ?? "";
    const set = PERL_CLASSES[letter.toLowerCase()];
    if (set === undefined) return undefined;
    this.#at += 1;
    return letter === letter.toLowerCase() ? set : negated(set);
  }

  /** After a backslash. */
  #escapedCharacter(): string {
    if (this.#at >= this.#pattern.length) this.#fail("a '\\' at the end; write '\\\\' for the character");
    const character = this.#next();
    const control = CONTROL_ESCAPES[character];
    if (control !== undefined) return control;
    if (character === "x") {
      const digits = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(this.#pattern.slice(this.#at));
      if (digits === null) this.#fail("a '\\x' without two hexadecimal digits");
      this.#at += digits[0].length;
      return String.fromCharCode(Math.min(Number.parseInt(digits[1] ?? digits[2] ?? "", 16), 0xffff));
    }
    if (/[1-9]/.test(character)) this.#fail("references to groups are not supported");
    if (/[A-Za-z0-9]/.test(character)) this.#fail(`'\\${character}' is not supported`);
    return character;
  }

  /** After "[". */
  #class(): CharacterSet {
    const isNegated = this.#take("^");
    const set = new Uint8Array(CHARACTERS);
    // A ']' in the first place stands for itself.
    for (let isFirst = true; isFirst || !this.#sees("]"); isFirst = false) {
      if (this.#at >= this.#pattern.length) this.#fail("a '[' without its ']'");
      this.#classItem(set);
    }
    this.#at += 1;
    const cased = this.#ignoresCase ? withBothCases(set) : set;
    return isNegated ? negated(cased) : cased;
  }

  #classItem(set: CharacterSet): void {
    if (/^\[[:.=]/.test(this.#pattern.slice(this.#at))) this.#fail("[:names:] of classes are not supported");
    if (this.#take("\\")) {
      const named = this.#classEscape();
      if (named !== undefined) {
        for (const [code, isIn] of named.entries()) if (isIn === 1) set[code] = 1;
        return;
      }
      this.#classRange(set, this.#escapedCharacter());
      return;
    }
    this.#classRange(set, this.#next());
  }

  #classRange(set: CharacterSet, first: string): void {
    let last = first;
    if (this.#sees("-") && this.#pattern[this.#at + 1] !== "]" && this.#at + 1 < this.#pattern.length) {
      this.#at += 1;
      last = this.#take("\\") ? this.#escapedCharacter() : this.#next();
    }
    if (first.charCodeAt(0) > last.charCodeAt(0)) this.#fail(`a range from '${first}' down to '${last}'`);
    fill(set, first, last);
  }

  #literal(character: string): RegexNode {
    const set = ranges(character + character);
    return { type: "set", set: this.#ignoresCase ? withBothCases(set) : set };
  }

  #next(): string {
    return this.#pattern[this.#at++] ?? "";
  }

  #sees(character: string): boolean {
    return this.#pattern[this.#at] === character;
  }

  #take(character: string): boolean {
    if (!this.#sees(character)) return false;
    this.#at += 1;
    return true;
  }

  #fail(reason: string): never {
    throw new SyntaxProblem(`${reason} (before position ${this.#at})`);
  }
}

/** The set of the ranges that pairs of characters name. */
function ranges(pairs: string): CharacterSet {
  const set = new Uint8Array(CHARACTERS);
  for (let at = 0; at < pairs.length; at += 2) fill(set, pairs.charAt(at), pairs.charAt(at + 1));
  return set;
}

function fill(set: CharacterSet, first: string, last: string): void {
  set.fill(1, Math.min(first.charCodeAt(0), CHARACTERS), Math.min(last.charCodeAt(0) + 1, CHARACTERS));
}

function negated(set: CharacterSet): CharacterSet {
  return set.map((isIn) => 1 - isIn);
}

function withBothCases(set: CharacterSet): CharacterSet {
  const both = set.slice();
  for (const [code, isIn] of set.entries()) {
    if (isIn === 0) continue;
    const character = String.fromCharCode(code);
    both[character.toLowerCase().charCodeAt(0)] = 1;
    both[character.toUpperCase().charCodeAt(0)] = 1;
  }
  return both;
}
