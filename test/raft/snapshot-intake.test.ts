import { expect, test } from "vitest";
import { SnapshotIntake } from "../../src/raft/snapshot-intake.ts";
import type { SnapshotDescription, SnapshotRequest } from "../../src/raft/types.ts";
import { replicaId, voterSet } from "./replica.ts";

const small: SnapshotDescription = { index: 9, term: 2, voters: voterSet("1"), sizeBytes: 5, checksum: 7 };

function chunk(position: number, text: string, snapshot = small): SnapshotRequest {
  const [from, to] = [replicaId("1"), replicaId("2")];
  return { type: "SnapshotRequest", from, to, term: 3, snapshot, position, data: Buffer.from(text) };
}

test("chunks are written one by one, and the last one ends the installation", () => {
  const intake = new SnapshotIntake();
  const [first, last] = [chunk(0, "abc"), chunk(3, "de")];
  expect(intake.receive(first)).toBe("later");
  expect(intake.take(false)).toEqual({ request: first, isLast: false });
  expect(intake.receive(last)).toBe("later");
  expect(intake.take(true)).toBeUndefined();
  expect(intake.written(first)).toBe(3);
  expect(intake.receive(last)).toBe("later");
  expect(intake.take(true)).toEqual({ request: last, isLast: true });
  expect(intake.isInstalling).toBe(true);
  expect(intake.finish()).toEqual({ snapshot: small, from: "1" });
  expect([intake.isInstalling, intake.index]).toEqual([false, undefined]);
});

test("the last chunk waits until all is quiet (H9)", () => {
  const intake = new SnapshotIntake();
  intake.receive(chunk(0, "abcde"));
  expect(intake.take(false)).toBeUndefined();
  expect(intake.isInstalling).toBe(false);
  expect(intake.take(true)?.isLast).toBe(true);
});

test("a chunk that does not continue what is there tells where to go on", () => {
  const intake = new SnapshotIntake();
  expect(intake.receive(chunk(3, "de"))).toEqual({ receivedBytes: 0 });
  const first = chunk(0, "abc");
  intake.receive(first);
  intake.take(true);
  intake.written(first);
  expect(intake.receive(chunk(0, "abc"))).toEqual({ receivedBytes: 3 });
});

test("another snapshot begins anew, the same one of another leader goes on", () => {
  const intake = new SnapshotIntake();
  const first = chunk(0, "abc");
  intake.receive(first);
  intake.take(true);
  intake.written(first);
  expect(intake.receive({ ...chunk(1, "b"), from: replicaId("3") })).toEqual({ receivedBytes: 3 });
  expect(intake.receive(chunk(3, "de", { ...small, checksum: 8 }))).toEqual({ receivedBytes: 0 });
});

test("what was given up is not continued, but an installation is never given up", () => {
  const intake = new SnapshotIntake();
  const first = chunk(0, "abc");
  intake.receive(first);
  intake.take(true);
  intake.abandon();
  expect(intake.written(first)).toBeUndefined();
  intake.receive(chunk(0, "abcde"));
  intake.take(true);
  intake.abandon();
  expect(intake.isInstalling).toBe(true);
  expect(intake.finish().snapshot).toBe(small);
  expect(() => intake.finish()).toThrow("no snapshot is being installed");
});
