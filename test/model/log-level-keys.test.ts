import { expect, test } from "vitest";
import { describeBrokerConfig, parseBrokerConfig } from "../../src/model/configs.ts";

function parsed(entries: Readonly<Record<string, string>>): ReturnType<typeof parseBrokerConfig> {
  return parseBrokerConfig({ "log.dirs": "/data", ...entries });
}

test("levels are read by component, in any case, and told as they are written", () => {
  const config = parsed({ "log.level": "WARN", "log.levels": "raft:debug, Server:ERROR" });
  if (!config.ok) throw new Error(JSON.stringify(config.errors));
  expect(config.config.logLevel).toBe("warn");
  expect(config.config.logLevels).toEqual(
    new Map([
      ["raft", "debug"],
      ["server", "error"],
    ]),
  );
  const rows = describeBrokerConfig(config).filter(({ name }) => name.startsWith("log.level"));
  expect(rows.map(({ value }) => value)).toEqual(["warn", "raft:debug,server:error"]);
});

test.each([
  ["log.level", "loud"],
  ["log.levels", "raft"],
  ["log.levels", "raft:debug,raft:info"],
  ["log.levels", "rafts:debug"],
  ["log.levels", "raft:loud"],
  ["log.levels", "raft:debug:info"],
])("%s = %s is refused with what is allowed", (name, text) => {
  const config = parsed({ [name]: text });
  expect(config.ok ? [] : config.errors).toEqual([
    { key: name, message: expect.stringContaining("debug, info, warn, error") as string },
  ]);
});
