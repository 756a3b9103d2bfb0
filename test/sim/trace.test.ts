import { expect, test } from "vitest";
import { Trace } from "../../src/sim/trace.ts";

function makeTrace(capacity = 3): { readonly trace: Trace; readonly clock: { nowMs: number } } {
  const clock = { nowMs: 0 };
  return { clock, trace: new Trace({ capacity }, { nowMs: () => clock.nowMs }) };
}

test("a trace keeps the last events and shows machines by their node ids", () => {
  const { trace, clock } = makeTrace();
  for (let index = 0; index < 5; index++) {
    clock.nowMs = index;
    trace.add("send", { from: 0, to: 1, a: index, b: 7, note: "hello" });
  }
  expect(trace.lines(2)).toEqual([
    "      3.0 ms send 1 -> 2 (3, 7) hello",
    "      4.0 ms send 1 -> 2 (4, 7) hello",
  ]);
  expect(trace.lines(10)).toHaveLength(3);
});

test("the hash tells every event apart by kind, time, machines and numbers, counted or noted, but not by its note", () => {
  const hashOf = (fill: (trace: Trace, clock: { nowMs: number }) => void): number => {
    const { trace, clock } = makeTrace();
    fill(trace, clock);
    return trace.hash;
  };
  const base = hashOf((trace) => trace.add("a", { from: 1, to: 2, a: 3, b: 4, note: "x" }));
  expect(hashOf((trace) => trace.add("a", { from: 1, to: 2, a: 3, b: 4, note: "y" }))).toBe(base);
  expect(hashOf((trace) => trace.count("a", { from: 1, to: 2, a: 3, b: 4 }))).toBe(base);
  const others = [
    hashOf((trace) => trace.add("b", { from: 1, to: 2, a: 3, b: 4 })),
    hashOf((trace) => trace.add("a", { from: 2, to: 1, a: 3, b: 4 })),
    hashOf((trace) => trace.add("a", { from: 1, to: 2, a: 4, b: 3 })),
    hashOf((trace, clock) => {
      clock.nowMs = 0.5;
      trace.add("a", { from: 1, to: 2, a: 3, b: 4 });
    }),
  ];
  expect(new Set([base, ...others]).size).toBe(5);
});
