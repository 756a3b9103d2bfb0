import { expect, test } from "vitest";
import { isLogComponent, isLogLevel, LOG_COMPONENTS, LogLevels } from "../../src/base/log-levels.ts";

function levelOf(levels: LogLevels, component: string): string | undefined {
  return levels.list().find((one) => one.component === component)?.level;
}

test("components have the general level unless they have one of their own", () => {
  const levels = new LogLevels({ level: "warn", levels: new Map([["raft", "debug"]]) });
  expect(levelOf(levels, "raft")).toBe("debug");
  expect(levelOf(levels, "server")).toBe("warn");
  expect(levels.list().map(({ component }) => component)).toEqual(LOG_COMPONENTS);
});

test("a change holds until it is taken back to what was configured", () => {
  const levels = new LogLevels({ level: "info", levels: new Map() });
  levels.change([{ component: "log", level: "error" }]);
  expect(levels.list().find(({ component }) => component === "log")).toEqual({
    component: "log",
    level: "error",
    configured: "info",
  });
  levels.change([{ component: "log", level: undefined }]);
  expect(levelOf(levels, "log")).toBe("info");
});

test("a cell that was taken before a change follows it", () => {
  const levels = new LogLevels({ level: "info", levels: new Map() });
  const cell = levels.cellOf("peer");
  const before = cell.rank;
  levels.change([{ component: "peer", level: "debug" }]);
  expect(cell.rank).toBeLessThan(before);
});

test("only names of levels and components are taken for such", () => {
  expect(isLogLevel("debug")).toBe(true);
  expect(isLogLevel("loud")).toBe(false);
  expect(isLogComponent("raft")).toBe(true);
  expect(isLogComponent("rafts")).toBe(false);
  expect(isLogComponent(undefined)).toBe(false);
});
