import { expect, test } from "vitest";
import { resolveConsumerOptions } from "../../src/client/consumer-options.ts";
import type { ConsumerOptions } from "../../src/client/index.ts";
import { rangeAssignor } from "../../src/client/index.ts";

const group = { groupId: "g", topics: ["t"] };

test("a member of a group has defaults", () => {
  expect(resolveConsumerOptions({ groupId: "g", topics: ["t", "t", /u-[0-9]/] }, "").group).toEqual({
    groupId: "g",
    instanceId: undefined,
    topics: ["t"],
    pattern: /u-[0-9]/,
    protocol: "consumer",
    serverAssignor: undefined,
    assignors: [],
    sessionTimeoutMs: 45_000,
    rebalanceTimeoutMs: 300_000,
    commit: "after-processing",
  });
  expect(resolveConsumerOptions({ topics: ["t"] }, "").group).toBeUndefined();
});

test.each<[string, object, RegExp]>([
  ["an empty group id", { groupId: "", topics: ["t"] }, /groupId has 0 characters/],
  ["a group id that is too long", { groupId: "g".repeat(250), topics: ["t"] }, /1 to 249/],
  ["an empty instance id", { ...group, instanceId: "" }, /instanceId/],
  ["a start position", { ...group, from: "end" }, /from does not go with groupId/],
  ["an assignment", { groupId: "g", assign: [{ topic: "t" }] }, /assign does not go with groupId/],
  ["no topics", { groupId: "g" }, /give topics/],
  ["a topic that cannot be", { groupId: "g", topics: ["a b"] }, /topic name/],
  ["two patterns", { groupId: "g", topics: [/a/, /b/] }, /one pattern/],
  ["a pattern with flags", { groupId: "g", topics: [/a/i] }, /flags/],
  ["a pattern without a group", { topics: [/a/] }, /needs a groupId/],
  ["a pace that is none", { ...group, commit: "sometimes" }, /after-processing/],
  ["an interval of nothing", { ...group, commit: { intervalMs: 0 } }, /commit.intervalMs/],
  ["assignors of the other protocol", { ...group, assignors: [rangeAssignor] }, /assignors is for/],
  ["a session of the other protocol", { ...group, sessionTimeoutMs: 1000 }, /sessionTimeoutMs is for/],
  [
    "a server assignor for the other",
    { ...group, groupProtocol: "classic", serverAssignor: "range" },
    /classic/,
  ],
  ["commits without a group", { topics: ["t"], commit: "manual" }, /commit is for members/],
])("%s is refused by name", (_, options, message) => {
  expect(() => resolveConsumerOptions(options as ConsumerOptions, "")).toThrow(message);
});
