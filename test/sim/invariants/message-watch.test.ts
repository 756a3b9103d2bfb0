import { expect, test } from "vitest";
import type { RaftMessage } from "../../../src/raft/types.ts";
import { DurableLogs } from "../../../src/sim/invariants/durable-log.ts";
import { Ledger } from "../../../src/sim/invariants/ledger.ts";
import { MessageWatch } from "../../../src/sim/invariants/message-watch.ts";
import { MarkerCounts } from "../../../src/sim/markers.ts";
import { entry, replica, StoreWriter } from "./fixture.ts";

function makeWatch(): {
  readonly watch: MessageWatch;
  readonly logs: DurableLogs;
  readonly markers: MarkerCounts;
} {
  const logs = new DurableLogs();
  const markers = new MarkerCounts();
  return { logs, markers, watch: new MessageWatch({ logs, ledger: new Ledger(), markers }) };
}

const heartbeat = (from: number, term: number): RaftMessage => ({
  type: "HeartbeatRequest",
  from: replica(from),
  to: replica(9),
  term,
  commit: 0,
  round: 0,
});

const vote = (from: number, to: number, term: number, granted = true): RaftMessage => ({
  type: "VoteResponse",
  from: replica(from),
  to: replica(to),
  term,
  granted,
});

const accepted = (from: number, term: number, index: number): RaftMessage => ({
  type: "AppendResponse",
  from: replica(from),
  to: replica(9),
  term,
  accepted: true,
  index,
  hintIndex: 0,
  hintTerm: 0,
});

test("a term has one leader, whatever message shows it", () => {
  const { watch, markers } = makeWatch();
  watch.sent(heartbeat(0, 1));
  watch.sent(heartbeat(0, 1));
  watch.sent(heartbeat(1, 2));
  expect(markers.toRecord().leaderChanged).toBe(1);
  expect(() => watch.sent(heartbeat(0, 2))).toThrow(/OneLeaderPerTerm/);
});

test("a vote is on the voter's disk before it leaves, and there is one in a term", () => {
  const { watch, logs } = makeWatch();
  const store = new StoreWriter(0);
  logs.apply(0, store.batch([], { term: 4, vote: replica(1) }));
  watch.sent(vote(0, 1, 4));
  watch.sent(vote(0, 1, 4));
  watch.sent(vote(0, 2, 4, false));
  expect(() => watch.sent(vote(0, 2, 4))).toThrow(/OneVotePerTerm/);
  expect(() => watch.sent(vote(0, 1, 5))).toThrow(/VoteIsDurable/);
  logs.apply(0, store.batch([], { term: 6 }));
  expect(() => watch.sent(vote(0, 1, 6))).toThrow(/VoteIsDurable/);
});

test("a candidate's own vote counts as one", () => {
  const { watch, logs } = makeWatch();
  const request = { type: "VoteRequest", from: replica(0), to: replica(1), term: 2 } as const;
  const fields = { lastIndex: 0, lastTerm: 0, isTransfer: false };
  logs.apply(0, new StoreWriter(0).batch([], { term: 1 }));
  expect(() => watch.sent({ ...request, ...fields })).toThrow(/VoteIsDurable/);
});

test("what a follower acknowledges is on its disk, unless a later term has replaced it there", () => {
  const { watch, logs } = makeWatch();
  const store = new StoreWriter(0);
  logs.apply(0, store.batch([entry(1, 1), entry(2, 1)]));
  watch.sent(accepted(0, 1, 2));
  expect(() => watch.sent(accepted(0, 1, 3))).toThrow(/AcknowledgedIsDurable/);
  logs.apply(0, store.batch([entry(1, 2, "new")]));
  watch.sent(accepted(0, 1, 2));
});
