import fc from "fast-check";
import { expect, test } from "vitest";
import { Ballot, majorityOf, majorityValue } from "../../src/raft/majority.ts";
import { replicaId, voterSet } from "./replica.ts";

test("a majority is more than half", () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(majorityOf)).toEqual([1, 2, 2, 3, 3, 4, 4]);
});

test("the value of a majority is the largest that more than half have reached, in any order", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 7 }), (values) => {
      const reached = (value: number): boolean =>
        values.filter((one) => one >= value).length * 2 > values.length;
      const value = majorityValue(values);
      expect(values).toContain(value);
      expect(reached(value)).toBe(true);
      expect(reached(value + 1)).toBe(false);
    }),
  );
});

test("a majority of no voters is a broken invariant", () => {
  expect(() => majorityValue([])).toThrow("a majority of no voters");
});

test("a ballot is won by a majority of the voters, and lost as soon as none can come about", () => {
  const ballot = new Ballot(voterSet("1", "2", "3", "4"));
  expect(ballot.record(replicaId("1"), true)).toBe("open");
  expect(ballot.record(replicaId("2"), true)).toBe("open");
  expect(ballot.record(replicaId("3"), true)).toBe("won");

  const lost = new Ballot(voterSet("1", "2", "3", "4"));
  expect(lost.record(replicaId("1"), false)).toBe("open");
  expect(lost.record(replicaId("2"), false)).toBe("lost");
});

test("a ballot counts nobody twice, no change of mind and no stranger", () => {
  const ballot = new Ballot(voterSet("1", "2", "3"));
  expect(ballot.record(replicaId("1"), true)).toBe("open");
  expect(ballot.record(replicaId("1"), true)).toBe("open");
  expect(ballot.record(replicaId("9"), true)).toBe("open");
  expect(ballot.record(replicaId("2"), false)).toBe("open");
  expect(ballot.record(replicaId("2"), true)).toBe("open");
  expect(ballot.record(replicaId("3"), true)).toBe("won");
});
