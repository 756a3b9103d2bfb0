import { expect, test } from "vitest";

import { ByteBudget } from "../../src/base/byte-budget.ts";

test("grants while there is room, then in the order of asking", () => {
  const budget = new ByteBudget(100);
  const served: string[] = [];
  expect(budget.take(80, () => served.push("never"))).toBe(true);
  expect(budget.take(50, () => served.push("large"))).toBe(false);
  // There is room for ten bytes, but the large one came first and must not starve.
  expect(budget.take(10, () => served.push("small"))).toBe(false);
  budget.release(40);
  expect(served).toEqual(["large", "small"]);
  expect(budget.usedBytes).toBe(100);
  expect(budget.waitingCount).toBe(0);
});

test("grants a request above the limit when nothing else is held", () => {
  const budget = new ByteBudget(100);
  const served: string[] = [];
  expect(budget.take(500, () => served.push("x"))).toBe(true);
  expect(budget.take(1, () => served.push("one"))).toBe(false);
  budget.release(500);
  expect(served).toEqual(["one"]);
});

test("a cancelled waiter is not called, and those behind it move up", () => {
  const budget = new ByteBudget(100);
  const served: string[] = [];
  const large = (): void => void served.push("large");
  budget.take(90, () => undefined);
  budget.take(60, large);
  budget.take(5, () => served.push("small"));
  budget.cancel(large);
  budget.cancel(large);
  expect(served).toEqual(["small"]);
  expect(budget.usedBytes).toBe(95);
});

test("a waiter may release and take while it is called", () => {
  const budget = new ByteBudget(10);
  const served: number[] = [];
  budget.take(10, () => undefined);
  budget.take(10, () => {
    served.push(1);
    budget.release(10);
  });
  budget.take(10, () => served.push(2));
  budget.release(10);
  expect(served).toEqual([1, 2]);
  expect(budget.usedBytes).toBe(10);
});

test("releasing more than is held is a bug", () => {
  const budget = new ByteBudget(10);
  expect(() => budget.release(1)).toThrow(/more was released/);
});
