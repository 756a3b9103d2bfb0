import { expect, test } from "vitest";
import { LeveledLogger } from "../../src/base/leveled-logger.ts";
import { LogLevels } from "../../src/base/log-levels.ts";
import { componentLogger, silentLogger, type LogFields, type Logger } from "../../src/base/logger.ts";

interface Scene {
  readonly logger: LeveledLogger;
  readonly levels: LogLevels;
  readonly lines: (readonly [level: string, message: string, fields: LogFields | undefined])[];
}

function scene(): Scene {
  const lines: Scene["lines"] = [];
  const note =
    (level: string) =>
    (message: string, fields?: LogFields): void => {
      lines.push([level, message, fields]);
    };
  const sink: Logger = {
    ...silentLogger,
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
  };
  const levels = new LogLevels({ level: "info", levels: new Map([["raft", "warn"]]) });
  const logger = new LeveledLogger({ component: "broker", fields: { nodeId: 3 } }, { sink, levels });
  return { logger, levels, lines };
}

test("lines carry component and bound fields, and those below the level are dropped", () => {
  const { logger, lines } = scene();
  logger.debug("no");
  logger.info("yes", { topic: "orders" });
  logger.warn("bare");
  expect(lines).toEqual([
    ["info", "yes", { component: "broker", nodeId: 3, topic: "orders" }],
    ["warn", "bare", { component: "broker", nodeId: 3 }],
  ]);
});

test("a child of another component obeys that one's level, and its own children too", () => {
  const { logger, lines } = scene();
  const raft = componentLogger(logger, "raft").child({ peerId: 2 });
  raft.info("no");
  raft.error("yes");
  expect(lines).toEqual([["error", "yes", { component: "raft", nodeId: 3, peerId: 2 }]]);
});

test("a change of a level reaches loggers that were made before, and no other component", () => {
  const { logger, levels, lines } = scene();
  const raft = componentLogger(logger, "raft");
  levels.change([{ component: "raft", level: "debug" }]);
  raft.debug("raft");
  logger.debug("broker");
  expect(lines.map(([, message]) => message)).toEqual(["raft"]);
});

test("what must leave a trace is written at any level", () => {
  const { logger, levels, lines } = scene();
  levels.change([{ component: "broker", level: "error" }]);
  logger.always("changed");
  expect(lines).toEqual([["info", "changed", { component: "broker", nodeId: 3 }]]);
});
