import { expect, test } from "vitest";
import type { Finding } from "../../../src/cli/doctor/finding.ts";
import { checkNodes } from "../../../src/cli/doctor/node-checks.ts";
import { look, seen } from "./looks.ts";

const MIB = 1024 ** 2;
const HERE = "1.2.3";

/** What is not well, as "state check about: found". */
function faults(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ state }) => state !== "ok")
    .map(({ state, check, about, found, next }) => {
      expect(next, found).not.toBe("");
      return `${state} ${check} ${about}: ${found}`;
    });
}

test("brokers that are well have no fault, and every check is told", () => {
  const findings = checkNodes(look([seen(1), seen(2)]), HERE);
  expect(faults(findings)).toEqual([]);
  expect([...new Set(findings.map(({ check }) => check))].sort()).toEqual([
    "clock",
    "disk",
    "files",
    "http",
    "memory",
    "versions",
  ]);
});

test("a clock is held against this machine and against the others", () => {
  const brokers = [
    seen(1, { node: { wallClockMs: 1_000_050 - 4000 } }),
    seen(2, { node: { wallClockMs: 1_008_050 } }),
  ];
  expect(faults(checkNodes(look(brokers), HERE))).toEqual([
    "failed clock broker 2: its clock is 8.0 s ahead of that of this machine (bound: 5 s)",
    "failed clock brokers: the clock of broker 2 is 11.9 s ahead of broker 1 (bound: 5 s)",
  ]);
});

test("clocks that agree with each other and not with this machine are no fault between brokers", () => {
  const brokers = [1, 2].map((id) => seen(id, { node: { wallClockMs: 1_000_050 + 3_600_000 } }));
  expect(
    faults(checkNodes(look(brokers), HERE)).map((line) => line.split(" ").slice(0, 4).join(" ")),
  ).toEqual(["failed clock broker 1:", "failed clock broker 2:"]);
});

test("a disk without room fails, one with little warns, one that cannot be asked warns", () => {
  const brokers = [63 * MIB, 1000 * MIB, undefined].map((diskFreeBytes, index) =>
    seen(index + 1, { node: { diskFreeBytes } }),
  );
  expect(faults(checkNodes(look(brokers), HERE))).toEqual([
    "failed disk broker 1: 63.0 MiB free in /data",
    "warning disk broker 2: 1000.0 MiB free in /data",
    "warning disk broker 3: /data: it cannot tell how much is free",
  ]);
});

test("releases side by side, one that is too old to tell, another one here, and a level to raise", () => {
  const brokers = [seen(1), seen(2, { node: { version: "1.3.0" } }), seen(3, { node: "silent" })];
  expect(faults(checkNodes(look(brokers, 2), HERE))).toEqual([
    "warning versions broker 3: a release up to 0.4.0, which tells little of itself",
    "warning versions brokers: 1.2.3 and 1.3.0 run side by side",
    "warning versions metadata.version: level 2, and level 3 is known",
  ]);
  expect(faults(checkNodes(look([seen(1)]), "9.9.9"))).toEqual([
    "warning versions this command: lograft 9.9.9 asks brokers of 1.2.3",
  ]);
});

test("too few open files fail; a heap and buffers beyond the memory warn", () => {
  const brokers = [
    seen(1, { node: { openFilesLimit: 1024 } }),
    seen(2, { node: { memoryBytes: 2048 * MIB } }),
  ];
  expect(faults(checkNodes(look(brokers), HERE))).toEqual([
    "failed files broker 1: 50 open, limit 1024, needed 2000 (storage.max.open.files and 1000 for all else)",
    "warning memory broker 2: 1.0 GiB resident, heap up to 2.0 GiB and 384.0 MiB of buffers, of 2.0 GiB",
  ]);
});
