import { expect, test } from "vitest";
import { silentLogger, type LogFields, type Logger } from "../../src/base/logger.ts";
import { LograftClient } from "../../src/client/index.ts";
import { startBroker } from "../../src/testing.ts";

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

class Lines {
  readonly lines: Line[] = [];

  get logger(): Logger {
    const note =
      (level: string) =>
      (message: string, fields: LogFields = {}): void => {
        this.lines.push({ level, message, fields });
      };
    return {
      ...silentLogger,
      debug: note("debug"),
      info: note("info"),
      warn: note("warn"),
      error: note("error"),
    };
  }

  components(): unknown[] {
    return [...new Set(this.lines.map(({ fields }) => fields["component"]))];
  }
}

test("an embedded broker's logger gets what the configuration lets through, with component and node", async () => {
  const lines = new Lines();
  const config = { "node.id": "7", "log.levels": "raft:error,quorum:debug" };
  await using broker = await startBroker({ config, logger: lines.logger });
  expect(lines.components()).toEqual(expect.arrayContaining(["broker", "controller", "quorum"]));
  expect(lines.components()).not.toContain("raft");
  expect(lines.lines.every(({ fields }) => fields["nodeId"] === broker.nodeId)).toBe(true);
});

test("levels change over the wire, in both directions, and the log says who did it", async () => {
  const lines = new Lines();
  await using broker = await startBroker({ config: { "log.level": "error" }, logger: lines.logger });
  expect(lines.lines).toEqual([]);
  await using client = new LograftClient({ brokers: [broker.address] });
  const admin = client.admin();
  await admin.createTopics([{ name: "before" }]);
  const { levels } = await admin.setLogLevels([{ component: "controller", level: "info" }]);
  expect(levels).toContainEqual({ component: "controller", level: "info", configured: "error" });
  await admin.createTopics([{ name: "between" }]);
  await admin.setLogLevels([{ component: "all", level: "default" }]);
  await admin.createTopics([{ name: "after" }]);
  expect(await admin.logLevels()).toMatchObject({ nodeId: broker.nodeId });
  expect(lines.lines.map(({ message, fields }) => [message, fields["changed"] ?? fields["names"]])).toEqual([
    ["log levels were changed, until the next start", { controller: "info" }],
    ["topics were created", ["between"]],
    ["log levels were changed, until the next start", { all: "default" }],
  ]);
  expect(lines.lines[0]?.fields["requestId"]).toMatch(/^[0-9a-f]{8}-\d+$/);
  expect(lines.lines[0]?.fields["peer"]).toMatch(/^127\.0\.0\.1:\d+$/);
});
