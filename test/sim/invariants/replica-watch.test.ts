import { expect, test } from "vitest";
import type { RaftStatus } from "../../../src/raft/types.ts";
import { DurableLogs } from "../../../src/sim/invariants/durable-log.ts";
import { Ledger } from "../../../src/sim/invariants/ledger.ts";
import { MessageWatch } from "../../../src/sim/invariants/message-watch.ts";
import { ReplicaWatch } from "../../../src/sim/invariants/replica-watch.ts";
import { MarkerCounts } from "../../../src/sim/markers.ts";
import { entry, StoreWriter, status, voterSet } from "./fixture.ts";

/** Three replicas with entries 1 to 3 of term 1 on all disks, and entry 4 of term 2 on the leader's, machine 0. */
function makeWatch(): {
  readonly watch: ReplicaWatch;
  readonly logs: DurableLogs;
  readonly stores: readonly StoreWriter[];
  readonly markers: MarkerCounts;
} {
  const logs = new DurableLogs();
  const markers = new MarkerCounts();
  const ledger = new Ledger();
  const messages = new MessageWatch({ logs, ledger, markers });
  const stores = [0, 1, 2].map((machine) => new StoreWriter(machine));
  for (const [machine, store] of stores.entries()) {
    logs.apply(machine, store.batch([entry(1, 1), entry(2, 1), entry(3, 1)], { term: 2 }));
  }
  logs.apply(0, stores[0]?.batch([entry(4, 2)]) ?? []);
  const watch = new ReplicaWatch({ logs, ledger, messages, markers, onElected: () => undefined });
  return { watch, logs, stores, markers };
}

const leader = (fields: Partial<RaftStatus>): RaftStatus =>
  status(0, { role: "leader", term: 2, lastIndex: 4, ...fields });

test("a commit is on a majority of the disks", () => {
  const { watch, logs, stores, markers } = makeWatch();
  watch.look(leader({}));
  expect(() => watch.look(leader({ commit: 4 }))).toThrow(/CommittedIsDurable/);
  logs.apply(1, stores[1]?.batch([entry(4, 2)]) ?? []);
  expect(watch.look(leader({ commit: 4 })).map(({ index }) => index)).toEqual([1, 2, 3, 4]);
  expect(markers.toRecord().oldTermCommitted).toBe(0);
});

test("a leader does not count replicas of an earlier term's entry", () => {
  const { watch } = makeWatch();
  watch.look(leader({}));
  expect(() => watch.look(leader({ commit: 3 }))).toThrow(/OwnTermCommits/);
});

test("entries of earlier terms are committed by one of the own, which is marked", () => {
  const { watch, logs, stores, markers } = makeWatch();
  watch.look(leader({ commit: 1 }));
  logs.apply(2, stores[2]?.batch([entry(4, 2)]) ?? []);
  watch.look(leader({ commit: 4 }));
  expect(markers.toRecord().oldTermCommitted).toBe(1);
});

test("what is not durable is not compared, though the commit index is past it", () => {
  const { watch, logs, stores } = makeWatch();
  logs.apply(1, stores[1]?.batch([entry(4, 2)]) ?? []);
  watch.look(leader({}));
  watch.look(leader({ commit: 4 }));
  logs.apply(2, stores[2]?.batch([entry(4, 1, "replaced in memory already")]) ?? []);
  expect(watch.look(status(2, { term: 2, commit: 4, lastIndex: 4, durableIndex: 3 }))).toEqual([]);
  expect(() => watch.look(status(2, { term: 2, commit: 4, lastIndex: 4 }))).toThrow(/OneCommittedPrefix/);
});

test("voters change one at a time, and not while a change is not committed", () => {
  const { watch, logs, stores, markers } = makeWatch();
  logs.apply(1, stores[1]?.batch([entry(4, 2)]) ?? []);
  watch.look(leader({}));
  watch.look(leader({ commit: 4 }));
  const changed = (votersIndex: number, ...machines: readonly number[]): RaftStatus =>
    leader({
      commit: 4,
      votersIndex,
      voters: voterSet(...machines),
      lastIndex: votersIndex,
      durableIndex: 4,
    });
  expect(() => watch.look(changed(5, 0, 1, 2, 3, 4))).toThrow(/more than one voter/);
  watch.look(changed(5, 0, 1, 2, 3));
  expect(markers.toRecord().learnerPromoted).toBe(1);
  expect(() => watch.look(changed(6, 0, 1, 2))).toThrow(/OneVoterChange.*not committed/);
});

test("a change before the own term's first commit is a violation", () => {
  const { watch } = makeWatch();
  watch.look(status(0, { term: 2, commit: 3, lastIndex: 3 }));
  watch.look(leader({ commit: 3 }));
  const next = { voters: voterSet(0, 1), votersIndex: 5, lastIndex: 5, durableIndex: 4 };
  expect(() => watch.look(leader({ commit: 3, ...next }))).toThrow(/VotersAfterOwnTerm/);
});

test("terms and commit indexes do not go back while a process runs", () => {
  const { watch } = makeWatch();
  watch.look(status(1, { term: 2, commit: 2, lastIndex: 3 }));
  expect(() => watch.look(status(1, { term: 1, commit: 2, lastIndex: 3 }))).toThrow(/TermNeverGoesBack/);
  expect(() => watch.look(status(1, { term: 2, commit: 1, lastIndex: 3 }))).toThrow(/CommitNeverGoesBack/);
  watch.restarted(status(1, {}).id);
  watch.look(status(1, { term: 2, commit: 1, lastIndex: 3 }));
});

test("a new leader has everything that is committed", () => {
  const { watch, logs, stores } = makeWatch();
  logs.apply(1, stores[1]?.batch([entry(4, 2)]) ?? []);
  watch.look(leader({}));
  watch.look(leader({ commit: 4 }));
  const late = status(2, { role: "leader", term: 3, lastIndex: 3 });
  expect(() => watch.look(late)).toThrow(/LeaderCompleteness/);
});
