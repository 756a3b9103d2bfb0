import fc from "fast-check";
import { expect, test } from "vitest";
import { roundRobinAssignor } from "../../../src/client/assignors/round-robin.ts";
import { anyGroup, counts, expectWhole, member, planFor, shown, topic } from "./groups.ts";

test("partitions of all topics go to the members in turn", () => {
  const members = [member("b", ["t", "u"]), member("a", ["t", "u"])];
  const plan = planFor(roundRobinAssignor, members, [topic("u", 3), topic("t", 3)]);
  expect(shown(plan)).toEqual(["a: t 0 2, u 1", "b: t 1, u 0 2"]);
});

test("a member that does not subscribe to a topic is passed over", () => {
  const members = [member("a", ["t0"]), member("b", ["t0", "t1"]), member("c", ["t0", "t1", "t2"])];
  const plan = planFor(roundRobinAssignor, members, [topic("t0", 1), topic("t1", 2), topic("t2", 3)]);
  expect(shown(plan)).toEqual(["a: t0 0", "b: t1 0", "c: t1 1, t2 0 1 2"]);
});

test("everything is given once, to subscribers; with one subscription for all, counts differ by at most one", () => {
  fc.assert(
    fc.property(anyGroup, ({ members, topics }) => {
      const plan = planFor(roundRobinAssignor, members, topics);
      expectWhole(plan, members, topics);
      const isUniform = members.every(({ subscription }) => subscription.topics.length === topics.length);
      const numbers = Object.values(counts(plan));
      if (isUniform) expect(Math.max(...numbers) - Math.min(...numbers)).toBeLessThan(2);
      expect(shown(planFor(roundRobinAssignor, members.toReversed(), topics))).toEqual(shown(plan));
    }),
    { numRuns: 200 },
  );
});
