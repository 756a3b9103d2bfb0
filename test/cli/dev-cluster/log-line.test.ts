import { expect, test } from "vitest";
import { readLogLine } from "../../../src/cli/dev-cluster/log-line.ts";

test("an entry of the log is told as time, level, text and fields", () => {
  const line = JSON.stringify({
    level: "info",
    time: "1970-01-01T00:00:00.000Z",
    nodeId: 2,
    voters: ["a"],
    msg: "broker is up",
  });
  expect(readLogLine(line)).toEqual({
    text: '1970-01-01T00:00:00.000Z info broker is up nodeId=2 voters=["a"]',
    isWarning: false,
  });
});

test.each([
  ["debug", false],
  ["info", false],
  ["warn", true],
  ["error", true],
])("level %s is a warning: %s", (level, isWarning) => {
  expect(readLogLine(JSON.stringify({ level, time: "1970-01-01T00:00:00.000Z", msg: "x" })).isWarning).toBe(
    isWarning,
  );
});

test("what is no entry is shown as it is, for a dying process prints it", () => {
  expect(readLogLine("lograft: no room")).toEqual({ text: "lograft: no room", isWarning: true });
  expect(readLogLine('{"level":"info","ti')).toEqual({ text: '{"level":"info","ti', isWarning: true });
  expect(readLogLine("").isWarning).toBe(false);
});

test("a text from elsewhere cannot steer the terminal", () => {
  const line = JSON.stringify({ level: "warn", time: "1970-01-01T00:00:00.000Z", msg: "\u001b[2J gone" });
  expect(readLogLine(line).text).not.toContain("\u001b");
});

test("an error in an entry is its text, and its stack where it is a bug", () => {
  const ours = JSON.stringify({ level: "warn", msg: "x", err: { type: "LograftError", message: "no room" } });
  expect(readLogLine(ours).text).toBe("warn x err=no room");
  const bug = JSON.stringify({ level: "error", msg: "x", err: { message: "no", stack: "Error: no at y" } });
  expect(readLogLine(bug).text).toBe("error x err=Error: no at y");
});
