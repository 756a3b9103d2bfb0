import { expect, test } from "vitest";
import { FAULTS, GROUP_FAULTS } from "../../src/chaos/fault.ts";
import { faultsOf } from "../../src/cli/chaos-scenario.ts";

test("all faults are those of plain runs; with a group, also those of its members and its coordinator", () => {
  expect(faultsOf(undefined, {})).toEqual(FAULTS);
  expect(faultsOf("all", { groups: true })).toEqual([...FAULTS, ...GROUP_FAULTS]);
  expect(faultsOf("none", { groups: true })).toEqual([]);
});

test("the scenario of groups hits a group in every way, and leaders of what it reads", () => {
  expect(faultsOf("groups", {})).toEqual([...GROUP_FAULTS, "kill-leader"]);
});

test("faults are named one way only, and an unknown one is refused with the names of all", () => {
  expect(faultsOf(undefined, { faults: "kill-member,pause" })).toEqual(["kill-member", "pause"]);
  expect(() => faultsOf("pause", { faults: "pause" })).toThrow(/one way only/);
  expect(() => faultsOf("earthquake", {})).toThrow(/no fault earthquake; .*groups, kill-member/);
});
