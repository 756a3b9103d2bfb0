import { expect, test } from "vitest";
import { LeveledLogger } from "../../src/base/leveled-logger.ts";
import { LogLevels } from "../../src/base/log-levels.ts";
import { silentLogger, type LogFields } from "../../src/base/logger.ts";
import { LogLevelControl } from "../../src/server/log-level-control.ts";

const asker = { peer: "127.0.0.1:5", requestId: "abc-1" };

function scene(): {
  readonly control: LogLevelControl;
  readonly lines: (readonly [string, LogFields | undefined])[];
  readonly levelOf: (component: string) => string | undefined;
} {
  const levels = new LogLevels({ level: "error", levels: new Map() });
  const lines: (readonly [string, LogFields | undefined])[] = [];
  const sink = {
    ...silentLogger,
    info: (message: string, fields?: LogFields) => void lines.push([message, fields]),
  };
  const control = new LogLevelControl({
    levels,
    logger: new LeveledLogger({ component: "broker" }, { sink, levels }),
  });
  const levelOf = (component: string): string | undefined =>
    control.list().find((one) => one.component === component)?.level;
  return { control, lines, levelOf };
}

test("a change is noted in the log with who asked for it, though the log is set to errors", () => {
  const { control, lines, levelOf } = scene();
  control.change([{ component: "raft", level: "debug" }], asker);
  expect(levelOf("raft")).toBe("debug");
  expect(lines).toEqual([
    [
      "log levels were changed, until the next start",
      { component: "broker", changed: { raft: "debug" }, ...asker },
    ],
  ]);
});

test("all stands for every component, default for the configuration, in the order given", () => {
  const { control, levelOf } = scene();
  const changes = [
    { component: "all", level: "info" },
    { component: "http", level: "default" },
  ];
  control.change(changes, asker);
  expect([levelOf("peer"), levelOf("http")]).toEqual(["info", "error"]);
});

test.each([
  [{ component: "rafts", level: "debug" }, '"rafts" is no component of the log; did you mean raft?'],
  [
    { component: "raft", level: "loud" },
    '"loud" is no log level; there is debug, info, warn, error, default',
  ],
])("what there is not is refused: %o", (bad, message) => {
  const { control, lines, levelOf } = scene();
  const change = (): void => control.change([{ component: "log", level: "debug" }, bad], asker);
  expect(change).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }) as Error);
  expect(change).toThrow(message);
  expect(levelOf("log")).toBe("error");
  expect(lines).toEqual([]);
});

test("more changes than make sense are refused, and none at all leaves no line", () => {
  const { control, lines } = scene();
  const many = Array.from({ length: 65 }, () => ({ component: "log", level: "debug" }));
  expect(() => control.change(many, asker)).toThrow("at most 64");
  control.change([], asker);
  expect(lines).toEqual([]);
});
