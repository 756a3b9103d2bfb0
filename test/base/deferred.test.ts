import { expect, test } from "vitest";
import { Deferred } from "../../src/base/deferred.ts";

test("a deferred settles once, the first time", async () => {
  const first = new Deferred<number>();
  expect(first.isSettled).toBe(false);
  first.resolve(1);
  first.resolve(2);
  first.reject(new Error("late"));
  expect(first.isSettled).toBe(true);
  expect(await first.promise).toBe(1);
  const second = new Deferred<number>();
  second.reject(new Error("no"));
  second.resolve(1);
  await expect(second.promise).rejects.toThrow("no");
});
