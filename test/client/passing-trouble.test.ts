import { expect, test } from "vitest";
import { operationError } from "../../src/base/errors.ts";
import { PassingTrouble } from "../../src/client/passing-trouble.ts";
import { ProtocolError } from "../../src/model/error-code.ts";

const moved = new ProtocolError("NOT_LEADER_OR_FOLLOWER", "another one leads");
const lost = operationError("CONNECTION_FAILED", "it is gone", { retriable: true });

test("a leader that moves is not worth telling, trouble that stays for half a minute is", () => {
  const trouble = new PassingTrouble();
  const told = [];
  for (let nowMs = 0; nowMs <= 32_000; nowMs += 1000)
    told.push(trouble.isWorthTelling(nowMs % 2000 === 0 ? moved : lost, nowMs));
  expect(told.indexOf(true)).toBe(30);
  expect(told.slice(30)).toEqual([true, true, true]);
});

test("attempts that nobody answers come seconds apart, and are one trouble", () => {
  const trouble = new PassingTrouble();
  const told = [0, 6000, 12_000, 18_000, 24_000, 30_000].map((nowMs) => trouble.isWorthTelling(lost, nowMs));
  expect(told).toEqual([false, false, false, false, false, true]);
});

test("after ten quiet seconds it is another trouble", () => {
  const trouble = new PassingTrouble();
  for (let nowMs = 0; nowMs < 30_000; nowMs += 1000) expect(trouble.isWorthTelling(lost, nowMs)).toBe(false);
  expect(trouble.isWorthTelling(lost, 39_001)).toBe(false);
  expect(trouble.isWorthTelling(lost, 49_002)).toBe(false);
});

test("what no moving leader explains is told at once", () => {
  const error = new ProtocolError("OFFSET_OUT_OF_RANGE", "it is gone");
  expect(new PassingTrouble().isWorthTelling(error, 0)).toBe(true);
});
