import * as fc from "fast-check";
import { expect, test } from "vitest";
import { GroupDeadlines, UNQUEUED } from "../../../src/coordinator/group/group-deadlines.ts";

interface Item {
  queuedMs: number;
  place: number;
  /** As the group has it. */
  deadlineMs: number;
}

function item(deadlineMs = Infinity): Item {
  return { ...UNQUEUED, deadlineMs };
}

test("items come out by their deadlines, and none before it is due", () => {
  const deadlines = new GroupDeadlines<Item>();
  const [late, early, middle] = [item(30), item(10), item(20)];
  for (const each of [late, early, middle]) deadlines.note(each, each.deadlineMs);
  expect(deadlines.earliestMs).toBe(10);
  expect(deadlines.takeDue(9)).toBeUndefined();
  expect([deadlines.takeDue(20), deadlines.takeDue(20), deadlines.takeDue(20)]).toEqual([
    early,
    middle,
    undefined,
  ]);
  expect(deadlines.earliestMs).toBe(30);
});

test("an item without a deadline is not in the queue", () => {
  const deadlines = new GroupDeadlines<Item>();
  deadlines.note(item(), Infinity);
  expect(deadlines.size).toBe(0);
  expect(deadlines.earliestMs).toBe(Infinity);
});

test("a deadline that moved later keeps its place until that comes up", () => {
  const deadlines = new GroupDeadlines<Item>();
  const only = item();
  deadlines.note(only, 10);
  deadlines.note(only, 50);
  expect(deadlines.size).toBe(1);
  expect(deadlines.takeDue(10)).toBe(only);
  deadlines.note(only, 50);
  expect(deadlines.takeDue(49)).toBeUndefined();
  expect(deadlines.takeDue(50)).toBe(only);
});

test("whatever is noted and removed, each item is inside once and no deadline is missed", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("note" as const), index: fc.nat({ max: 9 }), ms: fc.nat({ max: 100 }) }),
    fc.record({ kind: fc.constant("remove" as const), index: fc.nat({ max: 9 }) }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.nat({ max: 20 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const deadlines = new GroupDeadlines<Item>();
      const items = Array.from({ length: 10 }, () => item());
      let nowMs = 0;
      for (const each of steps) {
        if (each.kind === "pass") {
          nowMs += each.ms;
          for (let due = deadlines.takeDue(nowMs); due !== undefined; due = deadlines.takeDue(nowMs)) {
            if (due.deadlineMs <= nowMs) due.deadlineMs = Infinity;
            deadlines.note(due, due.deadlineMs);
          }
        } else {
          const chosen = items[each.index]!;
          chosen.deadlineMs = each.kind === "note" ? nowMs + each.ms + 1 : Infinity;
          if (each.kind === "note") deadlines.note(chosen, chosen.deadlineMs);
          else deadlines.remove(chosen);
        }
        const earliest = Math.min(...items.map(({ deadlineMs }) => deadlineMs));
        expect(deadlines.earliestMs).toBeLessThanOrEqual(earliest);
        expect(items.filter(({ deadlineMs }) => deadlineMs <= nowMs)).toEqual([]);
        expect(deadlines.size).toBe(items.filter(({ place }) => place >= 0).length);
      }
    }),
  );
});
