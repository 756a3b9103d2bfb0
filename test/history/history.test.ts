import { describe, expect, test } from "vitest";
import type { HistoryLine } from "../../src/history/history-line.ts";
import { History } from "../../src/history/history.ts";

const place = { file: "h", line: 3 };
const send = { type: "invoke", i: 1, p: 1, f: "send", t: 1, mops: [["send", "k", "v"]] } as const;

function adding(...lines: readonly HistoryLine[]): () => void {
  return () => {
    const history = new History();
    for (const line of lines) history.add(line, place);
  };
}

describe("contradictions are refused with their place", () => {
  test.each<[string, readonly HistoryLine[]]>([
    ["operation 1 of process 1 is open already", [send, { ...send, mops: [] }]],
    ["value v is sent a second time", [send, { ...send, i: 2 }]],
    ["operation 4 of process 1 completes and was not invoked", [{ type: "ok", i: 4, p: 1, f: "send", t: 2 }]],
    ["fault 1 ends and never began", [{ type: "fault", n: 1, kind: "pause", at: "end", t: 2 }]],
    [
      "run b (plain) after run a (plain)",
      [
        { type: "run", run: "a", profile: "plain" },
        { type: "run", run: "b", profile: "plain" },
      ],
    ],
  ])("%s", (problem, lines) => {
    expect(adding(...lines)).toThrow(`h:3: ${problem}`);
  });
});

test("files may come in any order: a value can be read before its send is met", () => {
  const history = new History();
  history.add({ type: "invoke", i: 1, p: 2, f: "poll", t: 5 });
  history.add({ type: "ok", i: 1, p: 2, f: "poll", t: 6, mops: [["poll", { k: [[0, "v"]] }]] });
  history.add(send);
  expect(history.values.isSent(history.values.id("v"))).toBe(true);
  expect(history.key("k").readOffset).toEqual([0]);
});

test("an operation that never ended is of unknown outcome", () => {
  const history = new History();
  history.add(send);
  expect(history.operations.outcome(0)).toBe("info");
});

test("empty lines are nothing", () => {
  const history = new History();
  history.addText("\n", place);
  expect(history.operations.count).toBe(0);
});
