import { expect, test } from "vitest";
import { Comparison, markdownOf } from "../../bench/peers/comparison.ts";
import { allRows, rowsNamed } from "../../bench/peers/rows.ts";
import { scheduleOf } from "../../bench/peers/schedule.ts";

const [row] = rowsNamed(["produce.100B"]);
if (row === undefined) throw new Error("the row is gone");

test("a row has the median and the spread of its rounds, and the ratio of the medians", () => {
  const comparison = new Comparison();
  for (const value of [300, 500, 400]) comparison.add(row.name, "lograft", value);
  for (const value of [100, 250, 200]) comparison.add(row.name, "kafka", value);
  const [compared] = comparison.rows([row], ["lograft", "kafka"]);
  expect(compared?.cells["lograft"]).toMatchObject({ median: 400, min: 300, max: 500, ratio: null });
  expect(compared?.cells["kafka"]).toMatchObject({ median: 200, min: 100, max: 250, ratio: 2 });
});

test("a peer without a figure is told with the reason", () => {
  const comparison = new Comparison();
  comparison.add(row.name, "lograft", 400);
  comparison.note(row.name, "nats", "missing: this machine has no go");
  comparison.note(row.name, "kafka", "failed: it ended");
  const systems = ["lograft", "nats", "kafka"];
  const text = markdownOf(comparison.rows([row], systems), systems);
  expect(text).toContain("missing: this machine has no go");
  expect(text).toMatch(/\| failed +\| - /);
  expect(text).toContain(`- ${row.name}, kafka: failed: it ended (0 figures)`);
});

test("a round that failed beside others that did not is marked, and said below the table", () => {
  const comparison = new Comparison();
  comparison.add(row.name, "lograft", 400);
  comparison.add(row.name, "lograft", 402);
  comparison.note(row.name, "lograft", "failed: no answer");
  const text = markdownOf(comparison.rows([row], ["lograft"]), ["lograft"]);
  expect(text).toContain("401 (400 .. 402) *");
  expect(text).toContain("failed: no answer (2 figures)");
});

test("each session goes around all systems before the next begins, each round another first", () => {
  const rows = rowsNamed(["produce.1KiB", "single.1KiB"]);
  const turns = scheduleOf({ rounds: 2, systems: ["a", "b"], rows });
  const texts = turns.map(({ round, session, system }) => `${round} ${session} ${system}`);
  expect(texts).toEqual([
    "0 throughput a",
    "0 throughput b",
    "0 partitions a",
    "0 partitions b",
    "0 single a",
    "0 single b",
    "1 throughput b",
    "1 throughput a",
    "1 partitions b",
    "1 partitions a",
    "1 single b",
    "1 single a",
  ]);
});

test("the rows have names of their own, and a word that fits none is refused", () => {
  expect(new Set(allRows.map(({ name }) => name)).size).toBe(allRows.length);
  expect(() => rowsNamed(["produce.2KiB"])).toThrow("--only produce.2KiB: no row begins so");
});
