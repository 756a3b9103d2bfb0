import { expect, test } from "vitest";
import { HistoryWriter } from "../../src/history/history-writer.ts";
import { History } from "../../src/history/history.ts";

test("what it writes is a history: invocation first, joined with its completion, at the times of the clock", () => {
  const lines: string[] = [];
  let now = 0;
  const writer = new HistoryWriter(
    { process: 4 },
    { write: (line) => lines.push(line), nowNs: () => (now += 5) },
  );
  const send = writer.invoke("send", [["send", "k", "v"]]);
  const poll = writer.invoke("poll");
  writer.complete(poll, "info", { err: "TIMEOUT" });
  writer.complete(send, "ok", { mops: [["send", "k", 7, "v"]] });
  const history = new History();
  for (const [index, line] of lines.entries()) history.addText(line, { file: "w", line: index + 1 });
  expect(history.operations.process).toEqual([4, 4]);
  expect(history.operations.invokedAt).toEqual([5, 10]);
  expect(history.operations.completedAt).toEqual([20, 15]);
  expect(history.values.offset).toEqual([7]);
});
