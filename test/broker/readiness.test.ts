import { expect, test } from "vitest";
import { isReady, readinessChecks, recoveringChecks } from "../../src/broker/readiness.ts";
import type { ReadinessFacts } from "../../src/broker/readiness.ts";

const WELL: ReadinessFacts = {
  nodeId: 2,
  state: "running",
  controllerId: 1,
  isContactLost: false,
  isFenced: false,
  isDiskFull: false,
  isDiskFailed: false,
};

function failing(facts: Partial<ReadinessFacts>): readonly string[] {
  return readinessChecks({ ...WELL, ...facts }).flatMap(({ name, isOk }) => (isOk ? [] : [name]));
}

test("a broker that takes part in its cluster and hears the controller is ready", () => {
  const checks = readinessChecks(WELL);
  expect(isReady(checks)).toBe(true);
  expect(checks.map(({ isOk }) => isOk)).not.toContain(false);
});

test.each<[string, Partial<ReadinessFacts>, string[]]>([
  [
    "has not joined",
    { state: "starting", isFenced: true, isContactLost: true, controllerId: -1 },
    ["membership", "controller"],
  ],
  ["is fenced", { isFenced: true }, ["membership"]],
  ["has lost the controller", { isContactLost: true }, ["controller"]],
  ["is stopping", { state: "closing" }, ["stopping"]],
])("a broker that %s is not ready", (_what, facts, names) => {
  expect(failing(facts)).toEqual(names);
  expect(isReady(readinessChecks({ ...WELL, ...facts }))).toBe(false);
});

test("a full or failed disk is told, and does not send clients away", () => {
  for (const facts of [{ isDiskFull: true }, { isDiskFailed: true }]) {
    expect(failing(facts)).toEqual(["disk"]);
    expect(isReady(readinessChecks({ ...WELL, ...facts }))).toBe(true);
  }
});

test("while the data directory is being opened nothing but that and a stop is known", () => {
  expect(recoveringChecks(true).map(({ name, isOk }) => [name, isOk])).toEqual([
    ["recovery", false],
    ["stopping", false],
  ]);
  expect(isReady(recoveringChecks(false))).toBe(false);
});
