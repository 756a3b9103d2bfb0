import type { LograftError } from "../base/errors.ts";
import { operationError } from "../base/errors.ts";
import type { HistoryLine, MicroOperation } from "./history-line.ts";
import { OPERATIONS } from "./history-line.ts";

/** Where a line stands, for messages. Lines count from 1. */
export interface LinePlace {
  readonly file: string;
  readonly line: number;
}

type Fields = Readonly<Record<string, unknown>>;
type Rule = (value: unknown) => boolean;

const isNumber: Rule = (value) => typeof value === "number" && Number.isFinite(value);
const isText: Rule = (value) => typeof value === "string";
const isNumbers: Rule = (value) => Array.isArray(value) && value.every(isNumber);
const isTexts: Rule = (value) => Array.isArray(value) && value.every(isText);
const isList: Rule = (value) => Array.isArray(value);
const isOneOf =
  (...names: readonly string[]): Rule =>
  (value) =>
    typeof value === "string" && names.includes(value);

const operation = { i: isNumber, p: isNumber, f: isOneOf(...OPERATIONS), t: isNumber };
const completion = {
  required: operation,
  optional: {
    mops: isList,
    attempts: (value: unknown) => Array.isArray(value) && value.every(isAttempt),
    pid: isNumber,
    ep: isNumber,
    seq: isNumber,
    iso: isOneOf("read_committed", "read_uncommitted"),
    node: isNumber,
    le: isNumber,
    reb: isRebalance,
    err: isText,
    index: isNumber,
  },
};

/** Fields of each type of line. Others may stand there too: an older checker reads a newer history. */
const SHAPES: Readonly<
  Record<
    HistoryLine["type"],
    { readonly required: Readonly<Record<string, Rule>>; readonly optional?: Readonly<Record<string, Rule>> }
  >
> = {
  run: {
    required: { run: isText, profile: isOneOf("plain", "plain-acks-1", "idempotent") },
    optional: { planned: isTexts, minSends: isNumber, inFlight: isNumber, lagLimitMs: isNumber },
  },
  invoke: { required: operation, optional: { mops: isList } },
  ok: completion,
  fail: completion,
  info: completion,
  fault: {
    required: { n: isNumber, kind: isText, at: isOneOf("start", "end"), t: isNumber },
    optional: { nodes: isNumbers, keys: isTexts, held: isTexts, groups: isTexts, effect: isText },
  },
  observe: {
    required: { t: isNumber, k: isText, leader: isNumber, le: isNumber, isr: isNumbers, replicas: isNumbers },
  },
  brokers: { required: { t: isNumber, fenced: isNumbers } },
  final: {
    required: {
      t: isNumber,
      p: isNumber,
      k: isText,
      start: isNumber,
      end: isNumber,
      since: isNumber,
      reached: isNumber,
    },
  },
  replica: {
    required: { t: isNumber, k: isText, node: isNumber, start: isNumber, end: isNumber, digest: isText },
  },
  member: {
    required: { t: isNumber, p: isNumber, group: isText, gen: isNumber, gained: isTexts, revoked: isTexts },
  },
  handled: {
    required: {
      t: isNumber,
      p: isNumber,
      group: isText,
      gen: isNumber,
      k: isText,
      from: isNumber,
      to: isNumber,
    },
  },
  groupEnd: { required: { t: isNumber, group: isText, k: isText, end: isNumber } },
  broken: { required: { t: isNumber, what: isText }, optional: { node: isNumber } },
  stall: { required: { t: isNumber, ms: isNumber } },
};

/** One line of a history. @throws LograftError INVALID_ARGUMENT that names file, line, field and what is wrong with it. */
export function parseHistoryLine(text: string, place: LinePlace): HistoryLine {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error: unknown) {
    throw refusal(place, `not JSON: ${shown(text)}`, error);
  }
  if (!isFields(parsed)) throw refusal(place, `not an object: ${shown(text)}`);
  const { type } = parsed;
  if (typeof type !== "string" || !Object.hasOwn(SHAPES, type)) {
    throw refusal(place, `"type" is ${shown(type)}; it is one of ${Object.keys(SHAPES).join(", ")}`);
  }
  const { required, optional = {} } = SHAPES[type as HistoryLine["type"]];
  for (const name in required) {
    if (required[name]?.(parsed[name]) !== true) throw fieldRefusal(place, type, name, parsed[name]);
  }
  for (const name in optional) {
    const value = parsed[name];
    if (value !== undefined && optional[name]?.(value) !== true) throw fieldRefusal(place, type, name, value);
  }
  const mops = parsed["mops"];
  if (Array.isArray(mops)) {
    for (const mop of mops as readonly unknown[]) {
      if (!isMicroOperation(mop)) throw refusal(place, `"mops" of "${type}" holds ${shown(mop)}`);
    }
  }
  return parsed as unknown as HistoryLine;
}

/** A line as it is written, with its end. */
export function formatHistoryLine(line: HistoryLine): string {
  return `${JSON.stringify(line)}\n`;
}

function isMicroOperation(mop: unknown): mop is MicroOperation {
  if (!Array.isArray(mop)) return false;
  const [name, key, third, fourth, fifth] = mop as readonly unknown[];
  if (name === "poll") return key === undefined || (isFields(key) && Object.values(key).every(isRecords));
  if (typeof key !== "string") return false;
  switch (name) {
    case "send":
      return mop.length === 3 ? isText(third) : isNumber(third) && isText(fourth);
    case "damaged":
      return isNumber(third) && (fourth === "corrupt" || fourth === "misrouted") && isText(fifth);
    case "assign":
    case "subscribe":
      return mop.length === 2;
    case "seek":
    case "end":
      return isNumber(third);
    case "commit":
    case "committed":
      return isText(third) && isNumber(fourth) && isText(fifth);
    case "topic":
      return typeof third === "boolean";
    default:
      return false;
  }
}

function isRecords(records: unknown): boolean {
  if (!Array.isArray(records)) return false;
  for (const record of records as readonly unknown[]) {
    if (!Array.isArray(record) || !isNumber(record[0]) || !isText(record[1])) return false;
    for (let at = 2; at < record.length; at++) if (!isNumber(record[at])) return false;
  }
  return true;
}

function isAttempt(attempt: unknown): boolean {
  if (!Array.isArray(attempt)) return false;
  const [node, start, end, error] = attempt as readonly unknown[];
  return isNumber(node) && isNumber(start) && isNumber(end) && (error === null || isText(error));
}

function isRebalance(value: unknown): boolean {
  return isFields(value) && isTexts(value["revoked"]) && isTexts(value["gained"]);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fieldRefusal(place: LinePlace, type: string, name: string, value: unknown): LograftError {
  const what = value === undefined ? "is missing" : `is ${shown(value)}`;
  return refusal(place, `"${name}" of "${type}" ${what}`);
}

function refusal(place: LinePlace, problem: string, cause?: unknown): LograftError {
  return operationError("INVALID_ARGUMENT", `${place.file}:${place.line}: ${problem}`, {
    context: { ...place },
    ...(cause === undefined ? {} : { cause }),
  });
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "absent");
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
