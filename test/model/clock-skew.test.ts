import { expect, test } from "vitest";
import { clockSkewMs, shownSkew } from "../../src/model/clock-skew.ts";

test("a clock that was read between question and answer is no way off, however long the answer took", () => {
  expect(clockSkewMs({ askedMs: 1000, theirsMs: 1000, answeredMs: 1000 })).toBe(0);
  expect(clockSkewMs({ askedMs: 1000, theirsMs: 8000, answeredMs: 9000 })).toBe(0);
});

test("what lies outside of the two is how far it is off, at least", () => {
  expect(clockSkewMs({ askedMs: 1000, theirsMs: 9500, answeredMs: 1500 })).toBe(8000);
  expect(clockSkewMs({ askedMs: 10_000, theirsMs: 3000, answeredMs: 10_500 })).toBe(-7000);
});

test("a skew is told in the largest unit that fits, with its side", () => {
  expect(shownSkew(5250)).toBe("5.3 s ahead of");
  expect(shownSkew(-119_000)).toBe("119.0 s behind");
  expect(shownSkew(3_600_000)).toBe("60 min ahead of");
  expect(shownSkew(-2 * 86_400_000)).toBe("2 days behind");
});
