import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ClassicDeadlines } from "../../../src/coordinator/group/classic-deadlines.ts";

test("a name is due at its deadline, and once", () => {
  const deadlines = new ClassicDeadlines();
  deadlines.set("a", 10);
  deadlines.set("b", Infinity);
  expect([deadlines.takeDue(9), deadlines.takeDue(10), deadlines.takeDue(10)]).toEqual([[], ["a"], []]);
  expect([deadlines.has("a"), deadlines.has("b"), deadlines.nextMs]).toEqual([false, true, Infinity]);
});

test("the oldest is the one that was set first, however often it was moved", () => {
  const deadlines = new ClassicDeadlines();
  deadlines.set("a", 10);
  deadlines.set("b", 5);
  deadlines.set("a", 50);
  expect(deadlines.oldest).toBe("a");
  deadlines.delete("a");
  expect([deadlines.oldest, deadlines.size]).toEqual(["b", 1]);
});

test("whatever is set and deleted, takeDue finds what a search would, and nextMs is never late", () => {
  const step = fc.oneof(
    fc.record({ name: fc.constantFrom("a", "b", "c"), inMs: fc.option(fc.nat({ max: 30 })) }),
    fc.record({ passMs: fc.nat({ max: 20 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const deadlines = new ClassicDeadlines();
      const model = new Map<string, number>();
      let nowMs = 0;
      for (const each of steps) {
        if ("passMs" in each) {
          nowMs += each.passMs;
          const due = [...model].filter(([, atMs]) => atMs <= nowMs).map(([name]) => name);
          expect(deadlines.takeDue(nowMs)).toEqual(due);
          for (const name of due) model.delete(name);
        } else if (each.inMs === null) {
          expect(deadlines.delete(each.name)).toBe(model.delete(each.name));
        } else {
          deadlines.set(each.name, nowMs + each.inMs);
          model.set(each.name, nowMs + each.inMs);
        }
        expect(deadlines.nextMs).toBeLessThanOrEqual(Math.min(...model.values()));
      }
    }),
  );
});
