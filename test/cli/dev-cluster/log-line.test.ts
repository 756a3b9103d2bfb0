import { expect, test } from "vitest";
import { readLogLine } from "../../../src/cli/dev-cluster/log-line.ts";

test("an entry of the log is told as time, level, text and fields", () => {
  const line = JSON.stringify({ level: 30, time: 0, nodeId: 2, voters: ["a"], msg: "broker is up" });
  expect(readLogLine(line)).toEqual({
    text: '1970-01-01T00:00:00.000Z info broker is up nodeId=2 voters=["a"]',
    isWarning: false,
  });
});

test.each([
  [20, false],
  [30, false],
  [40, true],
  [50, true],
])("level %i is a warning: %s", (level, isWarning) => {
  expect(readLogLine(JSON.stringify({ level, time: 0, msg: "x" })).isWarning).toBe(isWarning);
});

test("what is no entry is shown as it is, for a dying process prints it", () => {
  expect(readLogLine("lograft: no room")).toEqual({ text: "lograft: no room", isWarning: true });
  expect(readLogLine('{"level":30,"ti')).toEqual({ text: '{"level":30,"ti', isWarning: true });
  expect(readLogLine("").isWarning).toBe(false);
});

test("a text from elsewhere cannot steer the terminal", () => {
  const line = JSON.stringify({ level: 40, time: 0, msg: "\u001b[2J gone" });
  expect(readLogLine(line).text).not.toContain("\u001b");
});
