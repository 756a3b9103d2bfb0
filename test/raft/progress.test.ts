import { expect, test } from "vitest";
import { Progress } from "../../src/raft/progress.ts";
import type { SnapshotDescription } from "../../src/raft/types.ts";
import { replicaId, voterSet } from "./replica.ts";

const limits = { electionTicks: 10, heartbeatTicks: 2, maxInflightAppends: 2 };

function follower(lastIndex: number): Progress {
  return new Progress({ id: replicaId("2"), endpoint: "2:1", isVoter: true, lastIndex, now: 0 }, limits);
}

/** One that is known to have everything up to `index`. */
function replicating(index: number): Progress {
  const progress = follower(index);
  progress.sent(index, 0, 0);
  progress.accepted(index, index, 0, () => true);
  return progress;
}

const snapshot: SnapshotDescription = {
  index: 20,
  term: 2,
  voters: voterSet("1"),
  sizeBytes: 100,
  checksum: 1,
};

test("a probe goes out once and begins behind the leader's log", () => {
  const progress = follower(7);
  expect([progress.state, progress.nextIndex, progress.canSend]).toEqual(["probe", 8, true]);
  progress.sent(7, 0, 0);
  expect([progress.nextIndex, progress.canSend]).toEqual([8, false]);
});

test("an accepted probe starts the stream behind what was accepted", () => {
  const progress = follower(7);
  progress.sent(9, 0, 0);
  expect(progress.accepted(9, 9, 1, () => true)).toBe(true);
  expect([progress.state, progress.matchIndex, progress.nextIndex]).toEqual(["replicate", 9, 10]);
});

test("requests follow each other without answers until the window is full, and each answer makes room", () => {
  const progress = replicating(5);
  progress.sent(6, 0, 0);
  progress.sent(8, 0, 0);
  expect([progress.nextIndex, progress.canSend]).toEqual([9, false]);
  progress.accepted(6, 8, 1, () => true);
  expect(progress.canSend).toBe(true);
  progress.sent(9, 0, 1);
  expect(progress.canSend).toBe(false);
  // One answer stands for all before it.
  progress.accepted(9, 9, 1, () => true);
  expect([progress.canSend, progress.matchIndex]).toEqual([true, 9]);
});

test("an empty request takes no room", () => {
  const progress = replicating(5);
  progress.sent(5, 3, 0);
  progress.sent(5, 4, 0);
  progress.sent(5, 5, 0);
  expect([progress.canSend, progress.sentCommit]).toEqual([true, 5]);
});

test("the match index never falls, whatever comes late (H4)", () => {
  const progress = replicating(5);
  progress.sent(8, 0, 0);
  progress.accepted(8, 8, 0, () => true);
  expect(progress.accepted(6, 8, 0, () => true)).toBe(false);
  progress.refused(7, 2, 0);
  expect([progress.matchIndex, progress.state, progress.nextIndex]).toEqual([8, "replicate", 9]);
});

test("a refusal in the stream goes back to where the logs may agree, not below what is known", () => {
  const progress = replicating(5);
  progress.sent(9, 0, 0);
  progress.refused(9, 2, 1);
  expect([progress.state, progress.nextIndex, progress.canSend]).toEqual(["probe", 6, true]);
});

test("a refused probe steps back by the hint, and by one at least", () => {
  const progress = follower(30);
  progress.sent(30, 0, 0);
  progress.refused(30, 12, 0);
  expect(progress.nextIndex).toBe(13);
  progress.sent(12, 0, 0);
  progress.refused(12, 12, 0);
  expect(progress.nextIndex).toBe(12);
});

test("a refusal of an earlier probe is ignored (H5)", () => {
  const progress = follower(30);
  progress.sent(30, 0, 0);
  progress.refused(30, 12, 0);
  progress.sent(12, 0, 0);
  progress.refused(30, 3, 0);
  expect([progress.nextIndex, progress.canSend]).toEqual([13, false]);
});

test("what is unanswered is asked for again after a heartbeat interval, not before", () => {
  const probing = follower(7);
  expect(probing.retry(9)).toBeUndefined();
  probing.sent(7, 0, 9);
  expect(probing.retry(10)).toBeUndefined();
  expect(probing.retry(11)).toBe("probe");
  expect(probing.canSend).toBe(true);

  const streaming = replicating(5);
  expect(streaming.retry(9)).toBeUndefined();
  streaming.sent(6, 0, 9);
  expect(streaming.retry(10)).toBeUndefined();
  expect(streaming.retry(11)).toBe("tail");
  expect(streaming.retry(12)).toBeUndefined();
  expect(streaming.retry(13)).toBe("tail");
  streaming.accepted(6, 6, 14, () => true);
  expect(streaming.retry(20)).toBeUndefined();
});

test("a snapshot stops the stream until it is in place, and is sent again when it is late", () => {
  const progress = follower(30);
  progress.beginSnapshot(snapshot, 0).sent(0);
  expect([progress.state, progress.canSend]).toEqual(["snapshot", false]);
  progress.refused(5, 1, 0);
  expect(progress.state).toBe("snapshot");
  expect([progress.retry(1), progress.retry(2)]).toEqual([undefined, "chunk"]);
  expect(progress.snapshotDone(20, 30, 3)).toBe(true);
  expect([progress.state, progress.matchIndex, progress.nextIndex, progress.canSend]).toEqual([
    "probe",
    20,
    21,
    true,
  ]);
});

test("a replica that got on without the snapshot is served from the log again", () => {
  const progress = follower(30);
  progress.beginSnapshot(snapshot, 0);
  progress.accepted(3, 30, 1, (index) => index >= 20);
  expect([progress.state, progress.matchIndex]).toEqual(["snapshot", 3]);
  progress.accepted(25, 30, 1, (index) => index >= 20);
  expect([progress.state, progress.nextIndex]).toEqual(["probe", 26]);
});

test("a replica is active for one election timeout after it was heard", () => {
  const progress = follower(0);
  progress.heard(5);
  expect([progress.isActive(14), progress.isActive(15)]).toEqual([true, false]);
});

test("a round that takes an election timeout leaves a replica behind, a shorter one does not (§4.2.1, H8)", () => {
  const progress = follower(100);
  expect(progress.isCaughtUp(0)).toBe(false);
  progress.heard(12);
  progress.accepted(100, 200, 12, () => true);
  expect(progress.isCaughtUp(12)).toBe(false);
  progress.heard(21);
  progress.accepted(200, 210, 21, () => true);
  expect(progress.isCaughtUp(21)).toBe(true);
  // The next round drags on.
  progress.heard(31);
  expect([progress.isCaughtUp(30), progress.isCaughtUp(31)]).toEqual([true, false]);
});

test("who has the whole log is caught up, and stays so while nobody writes and it answers", () => {
  const progress = follower(3);
  progress.accepted(3, 3, 50, () => true);
  progress.heard(500);
  expect([progress.isCaughtUp(509), progress.isCaughtUp(510)]).toEqual([true, false]);
  // The first entry after the quiet begins a round.
  progress.sent(4, 0, 505);
  progress.heard(515);
  expect([progress.isCaughtUp(514), progress.isCaughtUp(515)]).toEqual([true, false]);
});
