/** A name that a folder may not use. */
export interface Ban {
  readonly name: string;
  /** Finds it in code whose strings and comments are blank. */
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Names that reach past the injected ports. Everywhere but at the edges of the process. */
export const outsideWorld: readonly Ban[] = [
  { name: "Date", pattern: /(?<![\w$.])Date\b(?!\s*[:?])/g, instead: "take the Clock of the Platform" },
  { name: "performance", pattern: /(?<![\w$.])performance\b(?=\s*\.)/g, instead: "use Clock.monotonicMs" },
  { name: "Math.random", pattern: /\bMath\s*\.\s*random\b/g, instead: "take the Random of the Platform" },
  {
    name: "a global timer",
    pattern: /(?<![\w$.])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b(?=\s*\()/g,
    instead: "use Clock.setTimer, Clock.defer or Clock.sleep",
  },
  {
    name: "AbortSignal.timeout",
    pattern: /\bAbortSignal\s*\.\s*timeout\b/g,
    instead: "use a Clock timer that aborts",
  },
  {
    name: "process",
    pattern: /(?<![\w$.])process\b(?=\s*[.[])/g,
    instead: "let the entry file read it and pass the value on",
  },
  { name: "console", pattern: /(?<![\w$.])console\b(?=\s*\.)/g, instead: "take a Logger" },
  {
    name: "fetch",
    pattern: /(?:\bawait\s+|\breturn\s+|[=(,?]\s*|=>\s*)fetch\b(?=\s*\()/g,
    instead: "use the peer or client folder",
  },
  { name: "crypto", pattern: /(?<![\w$.])crypto\b(?=\s*\.)/g, instead: "take the Random of the Platform" },
];

/** What would let the outcome depend on the order of events, in the folders that only compute. */
export const asynchrony: readonly Ban[] = [
  {
    name: "async",
    pattern: /(?<![\w$.])(?:async|await)\b(?!\s*[:,=)])/g,
    instead: "return what should happen and let the driver do it",
  },
  { name: "Promise", pattern: /(?<![\w$.])Promise\b/g, instead: "return a plain value" },
];

/** State that two instances in one process would share. */
export const sharedState: readonly Ban[] = [
  {
    name: "mutable module state",
    pattern: /^(?:export )?(?:let|var)\b/gm,
    instead: "keep it in a class that its user constructs",
  },
];

/** Folders (or single files) that are the edge of the process, where the bans of the outside world end. */
export const edges: readonly string[] = ["platform/node", "chaos", "cli", "main.ts"];

/** Folders that are plain functions over plain data. */
export const pureFolders: readonly string[] = ["model", "metadata", "raft", "history"];

/** Folders without mutable module state. */
export const statelessFolders: readonly string[] = [
  "base",
  ...pureFolders,
  "coordinator",
  "controller",
  "replication",
];

/** A ban lifted for one file, with the reason. */
export interface BanException {
  readonly file: string;
  readonly name: string;
  readonly reason: string;
}

const afterTrailers =
  "Node hands trailers to HTTP/2 in an immediate, and the reset of the stream must come after them";

export const banExceptions: readonly BanException[] = [
  { file: "rpc/stream/direct-server.ts", name: "a global timer", reason: afterTrailers },
  { file: "rpc/stream/direct-server-stream.ts", name: "a global timer", reason: afterTrailers },
  {
    file: "sim/scheduler.ts",
    name: "a global timer",
    reason:
      "setImmediate after the last microtask is how simulated time waits for promises; it never moves time",
  },
];

/** Texts that may stand nowhere in src and test, comments included. */
export const bannedTexts: readonly Ban[] = [
  {
    name: "a test that is skipped or singled out",
    pattern: /\b(?:test|it|describe|suite)\s*\.\s*(?:only|skip|todo|fails)\b/g,
    instead: "mend it or remove it",
  },
  {
    name: "a switched-off check",
    pattern: /@ts-(?:ignore|expect-error|nocheck)|(?:oxlint|eslint)-disable|oxfmt-ignore/g,
    instead: "change the code so that the check passes",
  },
  {
    name: "an open end",
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g,
    instead: "do it, or open an issue and describe the limit",
  },
  { name: "any", pattern: /\bas\s+any\b/g, instead: "use unknown and narrow it" },
];
