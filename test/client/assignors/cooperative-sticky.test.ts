import fc from "fast-check";
import { expect, test } from "vitest";
import { cooperativeStickyAssignor } from "../../../src/client/assignors/cooperative-sticky.ts";
import { encodeCooperativeUserData } from "../../../src/model/consumer-protocol.ts";
import {
  anyGroup,
  counts,
  expectWhole,
  member,
  owners,
  type Plan,
  planFor,
  rejoining,
  shown,
  topic,
} from "./groups.ts";

const assignor = cooperativeStickyAssignor;

test("what a newcomer is to have is withheld until its owner gave it up, then handed over", () => {
  const topics = [topic("t", 4)];
  const old = [
    member("a", ["t"], { ownedPartitions: [{ topic: "t", partitions: [0, 1, 2, 3] }], generationId: 1 }),
  ];
  const members = [...old, member("b", ["t"])];
  const first = planFor(assignor, members, topics);
  expect(shown(first)).toEqual(["a: t 0 1", "b: "]);
  const second = planFor(assignor, rejoining(assignor, members, first, 2), topics);
  expect(shown(second)).toEqual(["a: t 0 1", "b: t 2 3"]);
});

test("no plan gives a member what another one has, and after few rebalances the plan is whole", () => {
  fc.assert(
    fc.property(anyGroup, anyGroup, fc.nat(2), (before, after, newcomers) => {
      const { topics } = after;
      // Members of the former group are in the new one with what they had there, as far as it exists.
      const former = planFor(assignor, before.members, before.topics);
      let members = after.members.map((one, index) =>
        index < newcomers ? one : (rejoining(assignor, [one], former, 5)[0] ?? one),
      );
      const isUniform = members.every(({ subscription }) => subscription.topics.length === topics.length);
      // With one subscription for all, a single hand-over does. Else what became free may be better with others.
      const rebalances = isUniform ? 2 : 5;
      let had: Plan = new Map(members.map((one) => [one.memberId, one.subscription.ownedPartitions]));
      for (let generation = 6; generation < 6 + rebalances; generation++) {
        const plan = planFor(assignor, members, topics);
        const hadBy = owners(had);
        for (const [partition, owner] of owners(plan)) {
          expect([owner, undefined], partition).toContain(hadBy.get(partition));
        }
        members = rejoining(assignor, members, plan, generation);
        had = plan;
      }
      expectWhole(had, members, topics);
    }),
    { numRuns: 300 },
  );
});

test("everything is handed over when the owner has left", () => {
  const topics = [topic("t", 5)];
  const members = ["a", "b"].map((id) => member(id, ["t"]));
  const plan = planFor(assignor, members, topics);
  const rest = rejoining(assignor, members, plan, 1).slice(1);
  expect(counts(planFor(assignor, rest, topics))).toEqual({ b: 5 });
});

test("a member that was away with what it had does not take it from its successor", () => {
  const owned = [{ topic: "t", partitions: [0, 1] }];
  const members = [
    member("a", ["t"], { ownedPartitions: owned, generationId: 3 }),
    member("b", ["t"], { ownedPartitions: owned, generationId: 7 }),
  ];
  const plan = planFor(assignor, members, [topic("t", 2)]);
  // One of the two is to be a's, but only when b has given it up, and a what it only believes to have.
  expect(shown(plan)).toEqual(["a: ", "b: t 0"]);
  const second = planFor(assignor, rejoining(assignor, members, plan, 8), [topic("t", 2)]);
  expect(shown(second)).toEqual(["a: t 1", "b: t 0"]);
});

test("a subscription without a generation has it in the user data", () => {
  const owned = [{ topic: "t", partitions: [0, 1] }];
  const withData = { ownedPartitions: owned, userData: encodeCooperativeUserData(8) };
  const members = [
    member("a", ["t"], { ownedPartitions: [{ topic: "t", partitions: [0, 1] }], generationId: 7 }),
    member("b", ["t"], withData),
    member("c", ["t"], { ownedPartitions: [{ topic: "t", partitions: [2, 3] }], generationId: 8 }),
  ];
  expect(counts(planFor(assignor, members.slice(1), [topic("t", 4)]))).toEqual({ b: 2, c: 2 });
  const plan = planFor(assignor, members, [topic("t", 4)]);
  expect(plan.get("b")).toContainEqual({ topic: "t", partitions: [0, 1] });
});
