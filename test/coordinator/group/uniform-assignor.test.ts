import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ServerAssignor } from "../../../src/coordinator/group/assignor.ts";
import { uniformAssignor } from "../../../src/coordinator/group/uniform-assignor.ts";
import {
  after,
  anyServerGroup,
  counts,
  cpuMsOf,
  expectWhole,
  id,
  largeGroups,
  largePlans,
  member,
  owners,
  type ServerPlan,
  shown,
  topicsOf,
} from "./assignor-groups.ts";

const assign = (...input: Parameters<ServerAssignor["assign"]>): ServerPlan =>
  uniformAssignor.assign(...input);

test("partitions of all topics together are shared evenly", () => {
  const members = ["a", "b", "c"].map((name) => member(name, ["t", "u"]));
  const plan = assign(members, topicsOf({ t: 4, u: 4 }));
  expect(counts(plan).toSorted((a, b) => a - b)).toEqual([2, 3, 3]);
});

test("everything is given once, to subscribers, and stays when nothing changed", () => {
  fc.assert(
    fc.property(anyServerGroup, ({ members, topics, isUniform }) => {
      const plan = assign(members, topics);
      expectWhole(plan, members, topics);
      const numbers = counts(plan);
      if (isUniform) expect(Math.max(...numbers) - Math.min(...numbers)).toBeLessThan(2);
      const again = assign(after(members, plan).toReversed(), topics);
      expect(shown(again)).toEqual(shown(plan));
    }),
    { numRuns: 200 },
  );
});

test("no member could take a partition from one that has at least two more, whatever was before", () => {
  fc.assert(
    fc.property(anyServerGroup, anyServerGroup, (before, { members, topics }) => {
      const former = assign(before.members, before.topics);
      const plan = assign(after(members, former), topics);
      expectWhole(plan, members, topics);
      const held = new Map([...plan.keys()].map((memberId, index) => [memberId, counts(plan)[index] ?? 0]));
      for (const [partition, owner] of owners(plan)) {
        const topicId = id(partition.slice(0, partition.indexOf("-")));
        for (const { memberId, topicIds } of members) {
          if (!topicIds.includes(topicId)) continue;
          expect((held.get(owner) ?? 0) - (held.get(memberId) ?? 0)).toBeLessThan(2);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("a leave moves only what the member had, a join only what the member gets", () => {
  const uniform = anyServerGroup.filter(({ isUniform, members }) => isUniform && members.length > 1);
  fc.assert(
    fc.property(uniform, fc.nat(), ({ members, topics }, pick) => {
      const all = assign(members, topics);
      const gone = members[pick % members.length]?.memberId ?? "";
      const rest = after(members, all).filter(({ memberId }) => memberId !== gone);
      const without = assign(rest, topics);
      for (const [partition, owner] of owners(all)) {
        if (owner !== gone) expect(owners(without).get(partition)).toBe(owner);
      }
      const newcomer = member("m-new", topics.topicIds);
      const joined = assign([...after(rest, without), newcomer], topics);
      expect(Math.max(...counts(joined)) - Math.min(...counts(joined))).toBeLessThan(2);
      for (const [partition, owner] of owners(joined)) {
        if (owner !== "m-new") expect(owners(without).get(partition)).toBe(owner);
      }
    }),
    { numRuns: 100 },
  );
});

test("previous partitions that are gone, or of topics that are no longer wanted, count for nothing", () => {
  const members = [
    member("a", ["t"], {
      previous: [
        { topicId: id("t"), partitions: [1, 9] },
        { topicId: id("u"), partitions: [0] },
        { topicId: id("deleted"), partitions: [0] },
      ],
    }),
    member("b", ["t", "u"]),
  ];
  expect(shown(assign(members, topicsOf({ t: 2, u: 1 })))).toEqual(["a: t 0 1", "b: u 0"]);
});

test("a group without members, topics or subscriptions has an empty plan", () => {
  expect(assign([], topicsOf({ t: 3 }))).toEqual(new Map());
  expect(assign([member("a", ["t"])], topicsOf({}))).toEqual(new Map([["a", []]]));
  expect(assign([member("a", [])], topicsOf({ t: 3 }))).toEqual(new Map([["a", []]]));
});

describe("speed", () => {
  test.each(largeGroups())(
    "1,000 members and 1,000 partitions in $name take less than 200 ms for two plans",
    (group) => {
      expect(cpuMsOf(() => largePlans(uniformAssignor, group))).toBeLessThan(200);
    },
  );
});
