import { expect, test } from "vitest";
import { Exposition } from "../../src/model/exposition.ts";
import { counter, gauge, histogram } from "../../src/model/metric.ts";

const TABLE = {
  first: gauge("A value.", []),
  second_total: counter("With a \\ and\na second line.", ["topic", "partition"]),
  third_seconds: histogram("Times.", ["api"]),
  never: gauge("Is not set.", []),
};

test("samples stand under their metric, in the order of the table, whatever order they came in", () => {
  const to = new Exposition(TABLE);
  to.add("second_total", { topic: "a", partition: 1 }, 3);
  to.add("first", {}, 0.5);
  to.add("second_total", { topic: "b", partition: undefined }, 4);
  expect(to.toString().split("\n")).toEqual([
    "# HELP first A value.",
    "# TYPE first gauge",
    "first 0.5",
    "# HELP second_total With a \\\\ and\\na second line.",
    "# TYPE second_total counter",
    'second_total{topic="a",partition="1"} 3',
    'second_total{topic="b"} 4',
    "",
  ]);
});

test("the buckets of a histogram add up from below", () => {
  const to = new Exposition(TABLE);
  to.addHistogram("third_seconds", { api: "x" }, { bounds: [0.1, 1], counts: [2, 3, 1], sum: 4.5, count: 6 });
  expect(to.toString().split("\n").slice(2)).toEqual([
    'third_seconds_bucket{api="x",le="0.1"} 2',
    'third_seconds_bucket{api="x",le="1"} 5',
    'third_seconds_bucket{api="x",le="+Inf"} 6',
    'third_seconds_sum{api="x"} 4.5',
    'third_seconds_count{api="x"} 6',
    "",
  ]);
});

test("a label from outside cannot end its quotes or its line (H75)", () => {
  const to = new Exposition(TABLE);
  to.add("second_total", { topic: 'a"} 1\n# \\', partition: 0 }, 1);
  expect(to.toString()).toContain('second_total{topic="a\\"} 1\\n# \\\\",partition="0"} 1\n');
});

test("values without a number have the names that Prometheus reads", () => {
  const to = new Exposition(TABLE);
  for (const value of [Infinity, -Infinity, Number.NaN]) to.add("first", {}, value);
  expect(to.toString().split("\n").slice(2, 5)).toEqual(["first +Inf", "first -Inf", "first NaN"]);
});

test("without a sample there is no text", () => {
  expect(new Exposition(TABLE).toString()).toBe("");
});
