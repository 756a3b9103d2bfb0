import { expect, test } from "vitest";
import { nodeId } from "../../src/model/ids.ts";
import { foundingStep, leaderToObserve } from "../../src/quorum/founding.ts";
import type { HelloAnswer } from "../../src/quorum/founding.ts";
import type { Hello } from "../../src/quorum/raft-transport.ts";

const listed = [1, 2, 3].map((id) => ({ nodeId: nodeId(id), endpoint: `h${id}:1` }));
const address = (id: number, directoryId = `d${id}`): NonNullable<Hello["leader"]> => ({
  nodeId: nodeId(id),
  directoryId,
  endpoint: `h${id}:1`,
});

function hello(id: number, more: Partial<Hello> = {}): Hello {
  return {
    ...address(id),
    clusterId: undefined,
    foundingVoters: listed,
    voters: [],
    leader: undefined,
    epoch: 0,
    ...more,
  };
}

const answer = (id: number, more: Partial<Hello> = {}): HelloAnswer => ({
  endpoint: `h${id}:1`,
  hello: hello(id, more),
});
const silent = (id: number): HelloAnswer => ({ endpoint: `h${id}:1`, hello: undefined });
const member = {
  clusterId: "c1",
  voters: [address(1), address(2), address(3)],
  leader: address(2),
  epoch: 4,
};

test("the lowest id founds when all others are there and empty, with the directories they have now", () => {
  const step = foundingStep(hello(1), undefined, [answer(2), answer(3, { directoryId: "new" })]);
  expect(step).toEqual({
    type: "found",
    voters: [
      { id: "1@d1", endpoint: "h1:1" },
      { id: "2@d2", endpoint: "h2:1" },
      { id: "3@new", endpoint: "h3:1" },
    ],
  });
});

test("the others wait for the lowest, and everybody for who is missing", () => {
  expect(foundingStep(hello(2), undefined, [answer(1), answer(3)])).toEqual({ type: "wait", missing: [] });
  expect(foundingStep(hello(1), undefined, [answer(2), silent(3)])).toEqual({
    type: "wait",
    missing: ["3@h3:1"],
  });
});

test("a node that is not listed, or lists nobody, founds nothing", () => {
  expect(foundingStep(hello(9), undefined, [answer(1), answer(2), answer(3)]).type).toBe("wait");
  expect(foundingStep(hello(9, { foundingVoters: [] }), undefined, [silent(1)]).type).toBe("wait");
});

test("a cluster that is there is joined, whatever the others say", () => {
  const step = foundingStep(hello(1), undefined, [silent(2), answer(3, { ...member, foundingVoters: [] })]);
  expect(step).toEqual({ type: "join", clusterId: "c1" });
});

test("other lists, other nodes at an endpoint and other clusters are refused by name", () => {
  const other = [{ nodeId: nodeId(1), endpoint: "h1:1" }];
  const cases: [Hello, string | undefined, HelloAnswer[], RegExp][] = [
    [
      hello(1),
      undefined,
      [answer(2, { foundingVoters: other }), answer(3)],
      /"1@h1:1".*"1@h1:1,2@h2:1,3@h3:1"/,
    ],
    [hello(1), undefined, [{ endpoint: "h2:1", hello: hello(7) }, answer(3)], /h2:1 is node 7.*node 2/],
    [hello(1), "mine", [answer(2, member)], /cluster c1.*mine/],
    [hello(1), undefined, [answer(2, member), answer(3, { clusterId: "c2" })], /c1.*c2/],
  ];
  for (const [self, configured, answers, reason] of cases) {
    expect(foundingStep(self, configured, answers)).toEqual({
      type: "refuse",
      reason: expect.stringMatching(reason) as unknown,
    });
  }
});

test("the order of a list does not matter", () => {
  const reversed = { foundingVoters: listed.toReversed() };
  expect(foundingStep(hello(1, reversed), undefined, [answer(2), answer(3, reversed)]).type).toBe("found");
});

test("an observer asks the leader of the highest epoch; a voter that is known where it is asks nobody", () => {
  const stale = answer(1, { ...member, leader: address(1), epoch: 3 });
  expect(leaderToObserve(hello(4), "c1", [stale, answer(3, member)])).toEqual(address(2));
  expect(leaderToObserve(hello(4), "c2", [stale])).toBeUndefined();
  expect(leaderToObserve(hello(3), "c1", [answer(1, member)])).toBeUndefined();
  expect(leaderToObserve(hello(3, { directoryId: "new" }), "c1", [answer(1, member)])).toEqual(address(2));
  expect(leaderToObserve(hello(3, { endpoint: "moved:1" }), "c1", [answer(1, member)])).toEqual(address(2));
  expect(leaderToObserve(hello(2), "c1", [answer(1, member)])).toBeUndefined();
  expect(
    leaderToObserve(hello(4), "c1", [silent(1), answer(2, { ...member, leader: undefined })]),
  ).toBeUndefined();
});
