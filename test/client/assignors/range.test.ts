import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rangeAssignor } from "../../../src/client/assignors/range.ts";
import { anyGroup, counts, expectWhole, member, planFor, shown, topic } from "./groups.ts";

const three = (topics: string[]) => ["a", "b", "c"].map((id) => member(id, topics));

describe("worked cases", () => {
  test("10 partitions over 3 members give 4, 3, 3", () => {
    expect(shown(planFor(rangeAssignor, three(["t"]), [topic("t", 10)]))).toEqual([
      "a: t 0 1 2 3",
      "b: t 4 5 6",
      "c: t 7 8 9",
    ]);
  });

  test("11 partitions over 3 members give 4, 4, 3", () => {
    expect(shown(planFor(rangeAssignor, three(["t"]), [topic("t", 11)]))).toEqual([
      "a: t 0 1 2 3",
      "b: t 4 5 6 7",
      "c: t 8 9 10",
    ]);
  });

  test("two topics of 10 over 3 members give 8, 6, 6: the extras of every topic go to the first", () => {
    const plan = planFor(rangeAssignor, three(["t", "u"]), [topic("t", 10), topic("u", 10)]);
    expect(counts(plan)).toEqual({ a: 8, b: 6, c: 6 });
    expect(plan.get("b")).toEqual([
      { topic: "t", partitions: [4, 5, 6] },
      { topic: "u", partitions: [4, 5, 6] },
    ]);
  });

  test("members beyond the number of partitions get nothing", () => {
    expect(shown(planFor(rangeAssignor, three(["t"]), [topic("t", 2)]))).toEqual(["a: t 0", "b: t 1", "c: "]);
  });
});

test("static members come first, by their instance id, whatever their member ids are", () => {
  const members = [
    member("a", ["t"]),
    member("z", ["t"], { groupInstanceId: "i1" }),
    member("y", ["t"], { groupInstanceId: "i2" }),
  ];
  expect(shown(planFor(rangeAssignor, members, [topic("t", 3)]))).toEqual(["a: t 2", "y: t 1", "z: t 0"]);
});

test("each topic is cut among its own subscribers, in runs whose lengths differ by at most one", () => {
  fc.assert(
    fc.property(anyGroup, ({ members, topics }) => {
      const plan = planFor(rangeAssignor, members, topics);
      expectWhole(plan, members, topics);
      for (const { name } of topics) {
        const runs = members
          .filter(({ subscription }) => subscription.topics.includes(name))
          .map(({ memberId }) => plan.get(memberId)?.find((one) => one.topic === name)?.partitions ?? []);
        const lengths = runs.map((run) => run.length);
        if (runs.length > 0) expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThan(2);
        for (const run of runs) expect((run.at(-1) ?? -1) - (run[0] ?? 0)).toBe(run.length - 1);
      }
    }),
    { numRuns: 200 },
  );
});

test("the order in which members joined makes no difference", () => {
  fc.assert(
    fc.property(anyGroup, ({ members, topics }) => {
      const plan = shown(planFor(rangeAssignor, members, topics));
      expect(shown(planFor(rangeAssignor, members.toReversed(), topics.toReversed()))).toEqual(plan);
    }),
  );
});

describe("racks (KIP-881)", () => {
  const [r1, r2] = [["r1"], ["r2"]];

  test("members get partitions with a replica in their rack, in the numbers of the plain rule", () => {
    const members = [member("a", ["t"], { rackId: "r1" }), member("b", ["t"], { rackId: "r2" })];
    const placed = topic("t", 4, [r2, r1, r2, r1]);
    expect(shown(planFor(rangeAssignor, members, [placed]))).toEqual(["a: t 1 3", "b: t 0 2"]);
    const lopsided = topic("t", 4, [r1, r1, r1, r2]);
    expect(counts(planFor(rangeAssignor, members, [lopsided]))).toEqual({ a: 2, b: 2 });
  });

  test("topics that are cut alike stay so: a partition must be near in all of them", () => {
    const members = [member("a", ["t", "u"], { rackId: "r1" }), member("b", ["t", "u"], { rackId: "r2" })];
    const topics = [topic("t", 4, [r2, r1, r2, r1]), topic("u", 4, [r2, r1, r1, r1])];
    const plan = planFor(rangeAssignor, members, topics);
    expect(shown(plan)).toEqual(["a: t 1 3, u 1 3", "b: t 0 2, u 0 2"]);
  });

  test("racks that make no difference leave the plain rule", () => {
    const both = [
      ["r1", "r2"],
      ["r1", "r2"],
      ["r2", "r1"],
    ];
    const members = [member("a", ["t"], { rackId: "r2" }), member("b", ["t"], { rackId: "r1" })];
    expect(shown(planFor(rangeAssignor, members, [topic("t", 3, both)]))).toEqual(["a: t 0 1", "b: t 2"]);
    const elsewhere = [member("a", ["t"], { rackId: "r8" }), member("b", ["t"], { rackId: "r9" })];
    expect(shown(planFor(rangeAssignor, elsewhere, [topic("t", 2, [r2, r1])]))).toEqual(["a: t 0", "b: t 1"]);
  });

  test("whatever the racks, everything is given once and lengths differ by at most one", () => {
    const racks = fc.constantFrom("r1", "r2", "r3");
    fc.assert(
      fc.property(
        fc.array(fc.subarray(["r1", "r2", "r3"]), { maxLength: 9 }),
        fc.array(racks, { minLength: 1, maxLength: 4 }),
        (placed, ofMembers) => {
          const members = ofMembers.map((rackId, index) => member(`m${index}`, ["t"], { rackId }));
          const topics = [topic("t", placed.length, placed)];
          const plan = planFor(rangeAssignor, members, topics);
          expectWhole(plan, members, topics);
          const lengths = Object.values(counts(plan));
          expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThan(2);
        },
      ),
    );
  });
});
