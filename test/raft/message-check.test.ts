import { expect, test } from "vitest";
import { isWellFormed } from "../../src/raft/message-check.ts";
import type { AppendRequest, Entry, SnapshotRequest } from "../../src/raft/types.ts";
import { encodeVoters } from "../../src/raft/voter-set.ts";
import { replicaId, voterSet } from "./replica.ts";

const head = { from: replicaId("1"), to: replicaId("2"), term: 5 };
const entry: Entry = { index: 4, term: 5, kind: "data", data: Buffer.from("x") };
const append: AppendRequest = {
  ...head,
  type: "AppendRequest",
  prevIndex: 3,
  prevTerm: 4,
  entries: [entry],
  commit: 1,
};
const chunk: SnapshotRequest = {
  ...head,
  type: "SnapshotRequest",
  snapshot: { index: 9, term: 5, voters: voterSet("1"), sizeBytes: 5, checksum: 7 },
  position: 2,
  data: Buffer.from("abc"),
};

test("messages that make sense pass", () => {
  expect(isWellFormed(append)).toBe(true);
  expect(isWellFormed({ ...append, prevIndex: 0, prevTerm: 0, entries: [] })).toBe(true);
  expect(
    isWellFormed({ ...append, entries: [{ ...entry, kind: "voters", data: encodeVoters(voterSet("1")) }] }),
  ).toBe(true);
  expect(isWellFormed(chunk)).toBe(true);
  expect(
    isWellFormed({
      ...chunk,
      snapshot: { ...chunk.snapshot, sizeBytes: 0 },
      position: 0,
      data: Buffer.alloc(0),
    }),
  ).toBe(true);
  expect(isWellFormed({ ...head, type: "PreVoteResponse", term: 0, granted: true, requestTerm: 1 })).toBe(
    true,
  );
  expect(isWellFormed({ ...head, type: "ObserveRequest", term: 0, endpoint: "1:1" })).toBe(true);
});

test("append requests with gaps, falling or future terms, bad numbers or unreadable voters are refused", () => {
  const bad: Partial<AppendRequest>[] = [
    { term: 0 },
    { term: 2 ** 53 },
    { term: 1.5 },
    { term: Number.NaN },
    { prevIndex: -1 },
    { prevIndex: 0 },
    { prevTerm: 0 },
    { prevTerm: 6, entries: [] },
    { commit: -1 },
    { entries: [{ ...entry, index: 5 }] },
    { entries: [{ ...entry, term: 3 }] },
    { entries: [{ ...entry, term: 6 }] },
    { entries: [{ ...entry, kind: "voters" }] },
    { entries: [entry, entry] },
    { from: replicaId("") },
  ];
  for (const change of bad)
    expect(isWellFormed({ ...append, ...change }), JSON.stringify(change)).toBe(false);
});

test("chunks past the end, without content, of nothing or without voters are refused", () => {
  const bad: Partial<SnapshotRequest>[] = [
    { position: 3 },
    { position: -1 },
    { data: Buffer.alloc(0) },
    { snapshot: { ...chunk.snapshot, index: 0 } },
    { snapshot: { ...chunk.snapshot, term: 6 } },
    { snapshot: { ...chunk.snapshot, term: 0 } },
    { snapshot: { ...chunk.snapshot, voters: [] } },
    { snapshot: { ...chunk.snapshot, sizeBytes: Infinity } },
  ];
  for (const change of bad) expect(isWellFormed({ ...chunk, ...change }), JSON.stringify(change)).toBe(false);
});

test("requests and answers with numbers out of range are refused", () => {
  const answer = {
    ...head,
    type: "AppendResponse",
    accepted: true,
    index: 1,
    hintIndex: 0,
    hintTerm: 0,
  } as const;
  expect(isWellFormed(answer)).toBe(true);
  expect(isWellFormed({ ...answer, index: -1 })).toBe(false);
  expect(isWellFormed({ ...answer, hintIndex: 0.5 })).toBe(false);
  const vote = { ...head, type: "VoteRequest", lastIndex: 1, lastTerm: 1, isTransfer: false } as const;
  expect(isWellFormed(vote)).toBe(true);
  expect(isWellFormed({ ...vote, lastIndex: Infinity })).toBe(false);
  expect(isWellFormed({ ...vote, term: 0 })).toBe(false);
  expect(isWellFormed({ ...head, type: "HeartbeatRequest", commit: 1, round: -1 })).toBe(false);
  expect(isWellFormed({ ...head, type: "HeartbeatResponse", round: -1 })).toBe(false);
  expect(isWellFormed({ ...head, type: "SnapshotResponse", snapshotIndex: 1, receivedBytes: -1 })).toBe(
    false,
  );
  expect(isWellFormed({ ...head, type: "TimeoutNowRequest", term: 0 })).toBe(false);
  expect(isWellFormed({ ...head, type: "ObserveRequest", endpoint: "" })).toBe(false);
});
