import { expect, test } from "vitest";
import { operationError } from "../../../src/base/errors.ts";
import type { Logger } from "../../../src/base/logger.ts";
import { processLogger } from "../../../src/platform/node/process-logger.ts";

function logged(isJson: boolean, write: (logger: Logger) => void): string[] {
  const lines: string[] = [];
  write(processLogger({ isJson, write: (line) => void lines.push(line) }));
  return lines;
}

function entry(write: (logger: Logger) => void): Record<string, unknown> {
  const [line = ""] = logged(true, write);
  return JSON.parse(line) as Record<string, unknown>;
}

test("a JSON line has its level as a word, its time as text, and its fields", () => {
  const fields = { component: "raft", nodeId: 1, epoch: 7 };
  const { time, ...rest } = entry((logger) => logger.info("elected as metadata leader", fields));
  expect(rest).toEqual({ level: "info", ...fields, msg: "elected as metadata leader" });
  expect(String(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("every level is written: what to leave out is decided before", () => {
  const lines = logged(true, (logger) => {
    logger.debug("a");
    logger.info("b");
    logger.warn("c");
    logger.error("d");
  });
  expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual([
    "debug",
    "info",
    "warn",
    "error",
  ]);
});

test("an error of ours is told with its code and without a stack", () => {
  const err = operationError("DISK_FULL", "no room on /data");
  expect(entry((logger) => logger.warn("x", { err }))["err"]).toEqual({
    type: "LograftError",
    code: "DISK_FULL",
    message: "no room on /data",
  });
});

test("an error of others may be a bug and keeps its stack", () => {
  const err = Object.assign(new TypeError("x is not a function"), { code: "ERR_X" });
  expect(entry((logger) => logger.error("bug", { err }))["err"]).toMatchObject({
    type: "TypeError",
    code: "ERR_X",
    message: "x is not a function",
    stack: expect.stringContaining("process-logger.test") as string,
  });
  expect(entry((logger) => logger.error("bug", { err: "text" }))["err"]).toEqual({ message: "text" });
});

test.each([true, false])("secrets are redacted, also inside of fields (JSON: %s)", (isJson) => {
  const fields = { user: "ann", password: "hunter2", auth: { apiToken: "abc" }, "sasl.secret": "s" };
  const [line = ""] = logged(isJson, (logger) => logger.info("x", fields));
  expect(line).not.toMatch(/hunter2|abc|"s"/);
  expect(line).toContain("ann");
  expect(line).toContain("[redacted]");
});

test("a line for people begins with time, level and component", () => {
  const [line] = logged(false, (logger) => {
    logger
      .child({ nodeId: 1 })
      .warn("no room", { component: "log", topic: "t", partition: 0, err: new Error("full") });
  });
  expect(line).toMatch(/^\S+Z warn log: no room topic=t partition=0 err=full\n$/);
});

test("a child's fields stand in each of its lines", () => {
  expect(entry((logger) => logger.child({ nodeId: 4 }).info("x"))).toMatchObject({ nodeId: 4, msg: "x" });
});
