import { describe, expect, test } from "vitest";
import { isLograftError } from "../../src/client/errors.ts";
import type { HistoryLine } from "../../src/history/history-line.ts";
import { formatHistoryLine, parseHistoryLine } from "../../src/history/parse-line.ts";

const place = { file: "run.ndjson", line: 7 };

function refusal(text: string): string {
  try {
    parseHistoryLine(text, place);
  } catch (error: unknown) {
    if (isLograftError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return "taken";
}

const SAMPLES: readonly HistoryLine[] = [
  {
    type: "run",
    run: "r",
    profile: "plain",
    planned: ["kill-leader"],
    minSends: 5,
    inFlight: 5,
    lagLimitMs: 1,
  },
  { type: "invoke", i: 1, p: 2, f: "send", t: 3, mops: [["send", "k-0", "v"]] },
  {
    type: "ok",
    i: 1,
    p: 2,
    f: "send",
    t: 4,
    mops: [["send", "k-0", 9, "v"]],
    attempts: [[1, 3, 4, null]],
    pid: 1,
    ep: 0,
    seq: 0,
    node: 1,
    le: 2,
  },
  {
    type: "info",
    i: 2,
    p: 2,
    f: "poll",
    t: 4,
    iso: "read_committed",
    err: "TIMEOUT",
    reb: { revoked: ["k-0"], gained: [] },
    mops: [
      ["poll", { "k-0": [[1, "v", 2, 3, 4, 5]] }],
      ["damaged", "k-0", 1, "corrupt", "CRC"],
    ],
  },
  { type: "ok", i: 3, p: 2, f: "createTopic", t: 4, index: 4, mops: [["topic", "t", true]] },
  { type: "fault", n: 1, kind: "pause", at: "start", t: 1, nodes: [1], keys: ["k-0"] },
  { type: "observe", t: 1, k: "k-0", leader: 1, le: 1, isr: [1], replicas: [1, 2] },
  { type: "brokers", t: 1, fenced: [3] },
  { type: "final", t: 1, p: 1, k: "k-0", start: 0, end: 1, since: 0, reached: 1 },
  { type: "replica", t: 1, k: "k-0", node: 1, start: 0, end: 1, digest: "00" },
  { type: "ok", i: 4, p: 2, f: "commit", t: 5, mops: [["commit", "g", "k-0", 5, "u"]] },
  { type: "ok", i: 5, p: 2, f: "fetchOffset", t: 5, mops: [["committed", "g", "k-0", -1, ""]] },
  { type: "member", t: 1, p: 1, group: "g", gen: 2, gained: ["k-0"], revoked: [] },
  { type: "handled", t: 1, p: 1, group: "g", gen: 2, k: "k-0", from: 0, to: 4 },
  { type: "groupEnd", t: 1, group: "g", k: "k-0", end: 5 },
  { type: "broken", t: 1, what: "exit", node: 1 },
  { type: "stall", t: 1, ms: 4 },
];

test.each(SAMPLES.map((line) => [line.type, line] as const))(
  "a line of type %s comes back as it was",
  (_, line) => {
    const text = formatHistoryLine(line);
    expect(text.endsWith("}\n")).toBe(true);
    expect(parseHistoryLine(text, place)).toEqual(line);
  },
);

describe("a line that is none is refused with its place and its fault", () => {
  test.each([
    ['{"type":"ok","i":1', "not JSON"],
    ["[1]", "not an object"],
    ['{"type":"okay"}', '"type" is "okay"; it is one of run, invoke, ok,'],
    ['{"type":"invoke","p":1,"f":"send","t":1}', '"i" of "invoke" is missing'],
    ['{"type":"invoke","i":1,"p":1,"f":"write","t":1}', '"f" of "invoke" is "write"'],
    ['{"type":"ok","i":1,"p":1,"f":"send","t":1,"attempts":[[1,2]]}', '"attempts" of "ok" is "[[1,2]]"'],
    [
      '{"type":"ok","i":1,"p":1,"f":"poll","t":1,"mops":[["poll",{"k":[["0","v"]]}]]}',
      '"mops" of "ok" holds',
    ],
    ['{"type":"ok","i":1,"p":1,"f":"send","t":1,"mops":[["send","k",1]]}', '"mops" of "ok" holds'],
    ['{"type":"ok","i":1,"p":1,"f":"commit","t":1,"mops":[["commit","g","k",5]]}', '"mops" of "ok" holds'],
    ['{"type":"fault","n":1,"kind":"pause","at":"middle","t":1}', '"at" of "fault" is "middle"'],
    ['{"type":"run","run":"r","profile":"exactly-once"}', '"profile" of "run" is "exactly-once"'],
  ])("%s", (text, problem) => {
    const message = refusal(text);
    expect(message.startsWith("INVALID_ARGUMENT run.ndjson:7: ")).toBe(true);
    expect(message).toContain(problem);
  });
});

test("fields that nobody knows yet are passed over", () => {
  expect(refusal('{"type":"stall","t":1,"ms":4,"since":"later"}')).toBe("taken");
});
