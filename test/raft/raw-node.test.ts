import fc from "fast-check";
import { expect, test } from "vitest";
import { RawNode } from "../../src/raft/raw-node.ts";
import type { RawNodeOptions } from "../../src/raft/raw-node.ts";
import type { AppendRequest, Entry, RaftMessage, Ready } from "../../src/raft/types.ts";
import { describeEntry, foundingEntry, replicaId, voterSet } from "./replica.ts";

const [one, two, three] = [replicaId("1"), replicaId("2"), replicaId("3")];

/** Replica 1 of 1, 2 and 3, with who they are as its log. */
function makeNode(options: Partial<RawNodeOptions> = {}, random: (max: number) => number = () => 0): RawNode {
  return new RawNode(
    { id: one, electionTicks: 10, heartbeatTicks: 2, ...options },
    {
      hardState: { term: 1, vote: undefined, commit: 1 },
      snapshot: { index: 0, term: 0, voters: [] },
      entries: [foundingEntry("1", "2", "3")],
    },
    { random },
  );
}

/** Everything a node asks for now, with writes done at once. */
function drain(node: RawNode): Ready[] {
  const all: Ready[] = [];
  for (let ready = node.ready(); ready !== undefined; ready = node.ready()) {
    all.push(ready);
    if (ready.write !== undefined) node.written();
  }
  return all;
}

function messagesOf(node: RawNode): RaftMessage[] {
  return drain(node).flatMap(({ messages }) => messages);
}

/** Replica 1 as leader of term 2, its first entry committed. */
function leader(options: Partial<RawNodeOptions> = {}): RawNode {
  const node = makeNode(options);
  node.campaign();
  drain(node);
  node.step({ type: "PreVoteResponse", from: two, to: one, term: 1, granted: true, requestTerm: 2 });
  drain(node);
  node.step({ type: "VoteResponse", from: two, to: one, term: 2, granted: true });
  drain(node);
  for (const from of [two, three]) accept(node, from, 2);
  drain(node);
  expect(node.status()).toMatchObject({ role: "leader", term: 2, commit: 2, isSettled: true });
  return node;
}

function accept(node: RawNode, from: typeof one, index: number): void {
  node.step({
    type: "AppendResponse",
    from,
    to: one,
    term: 2,
    accepted: true,
    index,
    hintIndex: 0,
    hintTerm: 0,
  });
}

function appendsTo(messages: readonly RaftMessage[], to: typeof one): AppendRequest[] {
  return messages
    .filter((message) => message.type === "AppendRequest")
    .filter((message) => message.to === to);
}

test("hundreds of proposals go out in one request and one write", () => {
  const node = leader();
  for (let at = 0; at < 300; at++) node.propose(Buffer.from(`${at}`));
  const all = drain(node);
  expect(
    appendsTo(
      all.flatMap(({ messages }) => messages),
      two,
    ).map(({ entries }) => entries.length),
  ).toEqual([300]);
  expect(all.flatMap(({ write }) => write?.entries.length ?? [])).toEqual([300]);
});

test("requests are split at their limit in bytes and bounded by the window; an answer opens it (flow control)", () => {
  const node = leader({ maxAppendBytes: 200, maxInflightAppends: 2 });
  for (let at = 0; at < 8; at++) node.propose(Buffer.alloc(60));
  const first = appendsTo(messagesOf(node), two);
  expect(first.map(({ entries }) => entries.map(({ index }) => index))).toEqual([
    [3, 4],
    [5, 6],
  ]);
  accept(node, two, 4);
  expect(appendsTo(messagesOf(node), two).map(({ entries }) => entries.map(({ index }) => index))).toEqual([
    [7, 8],
  ]);
});

test("an entry larger than a request goes alone", () => {
  const node = leader({ maxAppendBytes: 100 });
  node.propose(Buffer.alloc(5000));
  node.propose(Buffer.alloc(1));
  expect(appendsTo(messagesOf(node), two).map(({ entries }) => entries.length)).toEqual([1, 1]);
});

test("proposals past the limit of uncommitted bytes are refused until some commit; one is always taken", () => {
  const node = leader({ maxUncommittedBytes: 100 });
  expect(node.propose(Buffer.alloc(500))).toEqual({ index: 3, term: 2 });
  expect(node.propose(Buffer.alloc(1))).toBe("BUSY");
  drain(node);
  accept(node, two, 3);
  expect(node.propose(Buffer.alloc(1))).toEqual({ index: 4, term: 2 });
});

test("only a leader takes proposals, changes and reads", () => {
  const node = makeNode();
  expect(node.propose(Buffer.alloc(0))).toBe("NOT_LEADER");
  expect(node.changeVoters({ type: "remove", id: two })).toBe("NOT_LEADER");
  expect(node.readIndex(1)).toBe(false);
  expect(node.transferLeadership(two)).toBe(false);
  expect(node.ready()?.committed.map(describeEntry)).toEqual(["1/1 voters 1 2 3"]);
  expect(node.ready()).toBeUndefined();
});

test("commit is known from before, and each entry is handed out once", () => {
  const node = leader();
  expect(node.ready()).toBeUndefined();
  node.propose(Buffer.from("x"));
  drain(node);
  accept(node, two, 3);
  accept(node, two, 3);
  expect(drain(node).flatMap(({ committed }) => committed.map(describeEntry))).toEqual(["3/2 x"]);
});

test("an entry that a majority has is not applied before the own disk has it (H2)", () => {
  const node = leader();
  node.propose(Buffer.from("x"));
  expect(node.ready()?.write?.entries).toHaveLength(1);
  accept(node, two, 3);
  accept(node, three, 3);
  expect(node.status()).toMatchObject({ commit: 3, durableIndex: 2 });
  expect(node.ready()?.committed).toEqual([]);
  node.written();
  expect(node.ready()?.committed.map(describeEntry)).toEqual(["3/2 x"]);
});

test("the leader counts itself only when its own disk has the entry (§10.2.1, H2)", () => {
  const node = leader();
  node.propose(Buffer.from("x"));
  expect(node.ready()?.write?.entries).toHaveLength(1);
  accept(node, two, 3);
  expect(node.status().commit).toBe(2);
  node.written();
  expect(node.status().commit).toBe(3);
});

test("a heartbeat commits no more than its follower is known to have (H4)", () => {
  const node = leader();
  node.propose(Buffer.from("x"));
  drain(node);
  accept(node, two, 3);
  drain(node);
  node.tick();
  node.tick();
  const commits = messagesOf(node).flatMap((message) =>
    message.type === "HeartbeatRequest" ? [[message.to, message.commit]] : [],
  );
  expect(commits).toEqual([
    [two, 3],
    [three, 2],
  ]);
});

test("answers of strangers are ignored, whatever their term (§4.2.3)", () => {
  const node = leader();
  const stranger = replicaId("9");
  node.step({ type: "HeartbeatResponse", from: stranger, to: one, term: 99, round: 0 });
  node.step({ type: "VoteResponse", from: stranger, to: one, term: 99, granted: false });
  expect(node.status()).toMatchObject({ role: "leader", term: 2 });
});

test("an answer that claims more than the leader has is ignored", () => {
  const node = leader();
  accept(node, two, 1000);
  node.step({ type: "HeartbeatResponse", from: two, to: one, term: 2, round: 77 });
  expect(node.status().progress[0]?.matchIndex).toBe(2);
  expect(node.readIndex(5)).toBe(true);
  expect(drain(node).flatMap(({ readStates }) => readStates)).toEqual([]);
});

test("a second leader in the same term is not believed", () => {
  const node = makeNode();
  const heartbeat = { type: "HeartbeatRequest", to: one, term: 3, commit: 1, round: 0 } as const;
  node.step({ ...heartbeat, from: two });
  node.step({ ...heartbeat, from: three });
  expect(node.status().leader).toBe(two);
  expect(messagesOf(node).map(({ to }) => to)).toEqual([two]);
});

test("a leader that contradicts a committed entry breaks an invariant of the group (H4)", () => {
  const node = leader();
  const forged: Entry = { index: 2, term: 3, kind: "data", data: Buffer.from("forged") };
  const request = {
    type: "AppendRequest",
    from: two,
    to: one,
    term: 4,
    prevIndex: 1,
    prevTerm: 1,
    commit: 0,
  } as const;
  expect(() => node.step({ ...request, entries: [forged, { ...forged, index: 3 }] })).toThrow(
    "below the commit index",
  );
});

test("messages to another replica, from itself or without sense change nothing", () => {
  const node = leader();
  const before = node.status();
  node.step({ type: "TimeoutNowRequest", from: two, to: three, term: 9 });
  node.step({ type: "TimeoutNowRequest", from: one, to: one, term: 9 });
  node.step({ type: "TimeoutNowRequest", from: two, to: one, term: 2 ** 60 });
  expect(node.status()).toEqual(before);
  expect(node.ready()).toBeUndefined();
});

test("a transfer is offered to a voter that is heard, and ends with the term", () => {
  const node = leader();
  expect(node.transferLeadership(replicaId("9"))).toBe(false);
  expect(node.transferLeadership(two)).toBe(true);
  expect(node.status().transferTarget).toBe(two);
  expect(node.propose(Buffer.alloc(0))).toBe("TRANSFERRING");
  expect(messagesOf(node).map(({ type }) => type)).toEqual(["TimeoutNowRequest"]);
  node.step({
    type: "VoteRequest",
    from: two,
    to: one,
    term: 3,
    lastIndex: 2,
    lastTerm: 2,
    isTransfer: true,
  });
  expect(node.status()).toMatchObject({ role: "follower", term: 3, transferTarget: undefined });
  expect(messagesOf(node)).toMatchObject([{ type: "VoteResponse", term: 3, granted: true }]);
});

test("the election timeout is chosen anew each time, from all of its range", () => {
  const asked: number[] = [];
  const node = makeNode({}, (max) => {
    asked.push(max);
    return asked.length % max;
  });
  const before = asked.length;
  for (const round of [0, 1]) {
    node.step({ type: "HeartbeatRequest", from: two, to: one, term: 2, commit: 1, round });
  }
  expect(asked.length).toBeGreaterThanOrEqual(before + 2);
  expect(new Set(asked)).toEqual(new Set([10]));
});

test("heartbeats must be faster than elections", () => {
  expect(() => makeNode({ heartbeatTicks: 10 })).toThrow("heartbeats must be faster");
  expect(() => makeNode({ heartbeatTicks: 0 })).toThrow("heartbeats must be faster");
});

test("a snapshot found at the start is sent once the driver has named it", () => {
  const voters = voterSet("1", "2", "3");
  const node = new RawNode(
    { id: one, electionTicks: 10, heartbeatTicks: 2 },
    {
      hardState: { term: 1, vote: undefined, commit: 8 },
      snapshot: { index: 8, term: 1, voters },
      entries: [],
    },
    { random: () => 0 },
  );
  node.campaign();
  node.step({ type: "PreVoteResponse", from: two, to: one, term: 1, granted: true, requestTerm: 2 });
  drain(node);
  node.step({ type: "VoteResponse", from: two, to: one, term: 2, granted: true });
  drain(node);
  const refusal = {
    type: "AppendResponse",
    to: one,
    term: 2,
    accepted: false,
    hintIndex: 0,
    hintTerm: 0,
  } as const;
  node.step({ ...refusal, from: two, index: 8 });
  expect(drain(node)).toEqual([]);
  node.snapshotCreated({ index: 8, term: 1, voters, sizeBytes: 3, checksum: 1 }, 0);
  const reads = drain(node).flatMap(({ snapshotReads }) => snapshotReads);
  expect(reads).toMatchObject([{ request: { to: two, position: 0 }, maxBytes: 256 * 1024 }]);
});

test("no message makes step throw, but a contradiction of what is committed", () => {
  const count = fc.oneof(fc.nat(6), fc.constantFrom(-1, 0.5, Number.NaN, Infinity, 2 ** 52, 2 ** 53));
  const data = fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes));
  const entry = fc.record({
    index: count,
    term: count,
    kind: fc.constantFrom<Entry["kind"]>("noop", "data", "voters"),
    data,
  });
  const snapshot = fc.record({
    index: count,
    term: count,
    voters: fc.constantFrom(voterSet(), voterSet("1", "2"), voterSet("1", "2").toReversed()),
    sizeBytes: count,
    checksum: fc.nat(),
  });
  const type = fc.constantFrom<RaftMessage["type"]>(
    "PreVoteRequest",
    "PreVoteResponse",
    "VoteRequest",
    "VoteResponse",
    "AppendRequest",
    "AppendResponse",
    "HeartbeatRequest",
    "HeartbeatResponse",
    "SnapshotRequest",
    "SnapshotResponse",
    "TimeoutNowRequest",
    "ObserveRequest",
  );
  const message = fc.record({
    type,
    from: fc.constantFrom(one, two, three, replicaId("9"), replicaId("")),
    to: fc.constant(one),
    term: count,
    lastIndex: count,
    lastTerm: count,
    isTransfer: fc.boolean(),
    granted: fc.boolean(),
    requestTerm: count,
    prevIndex: count,
    prevTerm: count,
    entries: fc.array(entry, { maxLength: 3 }),
    commit: count,
    accepted: fc.boolean(),
    index: count,
    hintIndex: count,
    hintTerm: count,
    round: count,
    snapshot,
    position: count,
    data,
    snapshotIndex: count,
    receivedBytes: count,
    endpoint: fc.constantFrom("", "9:1"),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 20 }), fc.boolean(), (messages, isLeader) => {
      const node = isLeader ? leader() : makeNode();
      for (const one of messages) {
        try {
          node.step(one as RaftMessage);
        } catch (error) {
          expect(String(error)).toContain("below the commit index");
          return;
        }
        for (let ready = node.ready(); ready !== undefined; ready = node.ready()) {
          if (ready.write !== undefined) node.written();
          if (ready.snapshotWrite?.isLast === true) node.snapshotDamaged();
          else if (ready.snapshotWrite !== undefined) node.snapshotChunkWritten(ready.snapshotWrite.request);
        }
      }
    }),
    { numRuns: 400 },
  );
});
