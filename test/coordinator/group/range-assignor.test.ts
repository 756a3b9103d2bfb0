import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ServerAssignor } from "../../../src/coordinator/group/assignor.ts";
import { rangeAssignor } from "../../../src/coordinator/group/range-assignor.ts";
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

const assign = (...input: Parameters<ServerAssignor["assign"]>): ServerPlan => rangeAssignor.assign(...input);
const three = (topics: string[]) => ["a", "b", "c"].map((name) => member(name, topics));

describe("worked cases", () => {
  test("10 partitions over 3 members give 4, 3, 3, and 11 give 4, 4, 3", () => {
    expect(shown(assign(three(["t"]), topicsOf({ t: 10 })))).toEqual([
      "a: t 0 1 2 3",
      "b: t 4 5 6",
      "c: t 7 8 9",
    ]);
    expect(counts(assign(three(["t"]), topicsOf({ t: 11 })))).toEqual([4, 4, 3]);
  });

  test("two topics of 10 over 3 members give 8, 6, 6, cut alike", () => {
    const plan = assign(three(["t", "u"]), topicsOf({ t: 10, u: 10 }));
    expect(counts(plan)).toEqual([8, 6, 6]);
    expect(plan.get("b")).toEqual([
      { topicId: "t", partitions: [4, 5, 6] },
      { topicId: "u", partitions: [4, 5, 6] },
    ]);
  });
});

test("topics are cut into runs whose lengths differ by at most one, and topics of one kind alike", () => {
  fc.assert(
    fc.property(anyServerGroup, anyServerGroup, (before, { members, topics }) => {
      const former = assign(before.members, before.topics);
      const plan = assign(after(members, former), topics);
      expectWhole(plan, members, topics);
      const runs = new Map<string, string>();
      for (const topicId of topics.topicIds) {
        const subscribers = members.filter(({ topicIds }) => topicIds.includes(topicId));
        const ofMembers = subscribers.map(
          ({ memberId }) => plan.get(memberId)?.find((one) => one.topicId === topicId)?.partitions ?? [],
        );
        const lengths = ofMembers.map((run) => run.length);
        if (lengths.length > 0) expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThan(2);
        for (const run of ofMembers) expect((run.at(-1) ?? -1) - (run[0] ?? 0)).toBe(run.length - 1);
        const kind = `${topics.partitionCount(topicId)} ${subscribers.map(({ memberId }) => memberId).join()}`;
        const cut = JSON.stringify(ofMembers);
        expect(runs.get(kind) ?? cut).toBe(cut);
        runs.set(kind, cut);
      }
    }),
    { numRuns: 200 },
  );
});

test("with one subscription for all, nothing moves when nothing changed, in whatever order members come", () => {
  const uniform = anyServerGroup.filter(({ isUniform }) => isUniform);
  fc.assert(
    fc.property(uniform, ({ members, topics }) => {
      const plan = assign(members, topics);
      expect(shown(assign(after(members, plan).toReversed(), topics))).toEqual(shown(plan));
    }),
    { numRuns: 200 },
  );
});

test("a newcomer comes last, wherever its id would stand, and takes no more than its run", () => {
  const members = [member("m", ["t"]), member("n", ["t"])];
  const before = assign(members, topicsOf({ t: 6 }));
  const joined = [...after(members, before), member("a", ["t"])];
  expect(shown(assign(joined, topicsOf({ t: 6 })))).toEqual(["a: t 4 5", "m: t 0 1", "n: t 2 3"]);
});

test("when members leave, the runs of the others keep their order", () => {
  const members = ["a", "b", "c", "d"].map((name) => member(name, ["t"]));
  const reversed = members.map((one, index) => ({
    ...one,
    previous: [{ topicId: id("t"), partitions: [6 - 2 * index, 7 - 2 * index] }],
  }));
  const plan = assign(reversed.slice(1), topicsOf({ t: 8 }));
  expect(shown(plan)).toEqual(["b: t 6 7", "c: t 3 4 5", "d: t 0 1 2"]);
});

test("a static member stands by its instance id while nobody has anything", () => {
  const members = [member("a", ["t"]), member("z", ["t"], { instanceId: "i1" })];
  expect(owners(assign(members, topicsOf({ t: 2 }))).get("t-0")).toBe("z");
});

describe("speed", () => {
  test.each(largeGroups())(
    "1,000 members and 1,000 partitions in $name take less than 200 ms for two plans",
    (group) => {
      expect(cpuMsOf(() => largePlans(rangeAssignor, group))).toBeLessThan(200);
    },
  );
});
