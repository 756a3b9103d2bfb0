import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AssignorMember } from "../../../src/client/assignors/assignor.ts";
import { stickyAssignor } from "../../../src/client/assignors/sticky.ts";
import { encodeStickyUserData } from "../../../src/model/consumer-protocol.ts";
import { anyGroup, counts, expectWhole, member, owners, planFor, rejoining, shown, topic } from "./groups.ts";

function having(
  memberId: string,
  partitions: readonly number[],
  generationId: number,
  fields: Parameters<typeof member>[2] = {},
): AssignorMember {
  const previousAssignment = [{ topic: "t", partitions }];
  return member(memberId, ["t"], {
    ...fields,
    userData: encodeStickyUserData({ previousAssignment, generationId }),
  });
}

test("members that join for the first time share everything evenly", () => {
  const members = ["c", "a", "b"].map((id) => member(id, ["t", "u"]));
  const plan = planFor(stickyAssignor, members, [topic("t", 4), topic("u", 3)]);
  expect(counts(plan)).toEqual({ a: 3, b: 2, c: 2 });
});

test("a member has no user data before its first assignment", () => {
  const context = { topics: ["t"], lastAssigned: [], generationId: -1 };
  expect(stickyAssignor.subscriptionUserData?.(context)).toBeUndefined();
});

test("everything is given once to subscribers, and nothing moves when nothing changed", () => {
  fc.assert(
    fc.property(anyGroup, ({ members, topics }) => {
      const plan = planFor(stickyAssignor, members, topics);
      expectWhole(plan, members, topics);
      const again = rejoining(stickyAssignor, members, plan, 1).toReversed();
      expect(shown(planFor(stickyAssignor, again, topics))).toEqual(shown(plan));
    }),
    { numRuns: 200 },
  );
});

test("when a member leaves, only what it had moves; when one joins, only what it gets moves", () => {
  const uniform = anyGroup.filter(
    ({ members, topics }) =>
      members.length > 1 && members.every(({ subscription }) => subscription.topics.length === topics.length),
  );
  fc.assert(
    fc.property(uniform, fc.nat(), ({ members, topics }, pick) => {
      const all = planFor(stickyAssignor, members, topics);
      const gone = members[pick % members.length]?.memberId ?? "";
      const rest = rejoining(stickyAssignor, members, all, 1).filter(({ memberId }) => memberId !== gone);
      const without = planFor(stickyAssignor, rest, topics);
      expectWhole(without, rest, topics);
      for (const [partition, owner] of owners(all)) {
        if (owner !== gone) expect(owners(without).get(partition)).toBe(owner);
      }
      const newcomer = member(
        "m-new",
        topics.map(({ name }) => name),
      );
      const joined = [...rejoining(stickyAssignor, rest, without, 2), newcomer];
      const after = planFor(stickyAssignor, joined, topics);
      expectWhole(after, joined, topics);
      for (const [partition, owner] of owners(after)) {
        if (owner !== "m-new") expect(owners(without).get(partition)).toBe(owner);
      }
      const numbers = Object.values(counts(after));
      expect(Math.max(...numbers) - Math.min(...numbers)).toBeLessThan(2);
    }),
    { numRuns: 200 },
  );
});

describe("what members claim", () => {
  test("a claim of a later generation wins", () => {
    const plan = planFor(stickyAssignor, [having("a", [0, 1], 4), having("b", [0, 1], 5)], [topic("t", 3)]);
    expect(shown(plan)).toEqual(["a: t 2", "b: t 0 1"]);
  });

  test("of two claims in one generation neither counts", () => {
    // Without its claim to 3, which c makes too, b has less than the others: it gets what is free.
    const members = [having("a", [0, 1], 4), having("b", [3], 4), having("c", [2, 3], 4)];
    const plan = planFor(stickyAssignor, members, [topic("t", 5)]);
    expect(shown(plan)).toEqual(["a: t 0 1", "b: t 3 4", "c: t 2"]);
    const undisputed = [having("a", [0, 1], 4), member("b", ["t"]), having("c", [2, 3], 4)];
    expect(shown(planFor(stickyAssignor, undisputed, [topic("t", 5)]))).toEqual([
      "a: t 0 1",
      "b: t 4",
      "c: t 2 3",
    ]);
  });

  test("claims of what does not exist or is not wanted any more are void", () => {
    const elsewhere = encodeStickyUserData({
      previousAssignment: [{ topic: "u", partitions: [0] }],
      generationId: 1,
    });
    const members = [having("a", [7, 0x7fffffff], 1), member("b", ["t"], { userData: elsewhere })];
    const topics = [topic("t", 2), topic("u", 1)];
    const plan = planFor(stickyAssignor, members, topics);
    expect(shown(plan)).toEqual(["a: t 0", "b: t 1"]);
  });

  test("user data that cannot be read are as good as none", () => {
    const members = [member("a", ["t"], { userData: Buffer.from([1, 2, 3]) }), having("b", [0], 1)];
    expect(shown(planFor(stickyAssignor, members, [topic("t", 2)]))).toEqual(["a: t 1", "b: t 0"]);
  });
});

test("free partitions go to members near a replica first", () => {
  const members = [member("a", ["t"], { rackId: "r2" }), member("b", ["t"], { rackId: "r1" })];
  const placed = topic("t", 4, [["r1"], ["r1"], ["r2"], ["r2"]]);
  expect(shown(planFor(stickyAssignor, members, [placed]))).toEqual(["a: t 2 3", "b: t 0 1"]);
});
