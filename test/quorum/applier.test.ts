import { expect, test } from "vitest";
import { Applier } from "../../src/quorum/applier.ts";
import type { Entry } from "../../src/raft/types.ts";
import { encodeVoters } from "../../src/raft/voter-set.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import { nodeId } from "../../src/model/ids.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { Journal } from "./quorum-cluster.ts";

function parts(): { journal: Journal; applier: Applier } {
  const journal = new Journal();
  const clock = new SimClock({}, { scheduler: new Scheduler() });
  return { journal, applier: new Applier({ clock, stateMachine: journal }) };
}

const data = (index: number, term = 1): Entry => ({
  index,
  term,
  kind: "data",
  data: Buffer.from(`e${index}`),
});

test("entries are applied in order in slices; the quorum's own are passed over", () => {
  const { journal, applier } = parts();
  const voters = [{ id: replicaIdOf(nodeId(1), "a"), endpoint: "h:1" }];
  const own: Entry[] = [
    { index: 1, term: 1, kind: "voters", data: encodeVoters(voters) },
    { index: 2, term: 1, kind: "noop", data: Buffer.alloc(0) },
  ];
  applier.push([...own, ...Array.from({ length: 500 }, (_, at) => data(at + 3))]);
  const seen: number[] = [];
  let slices = 0;
  for (; !applier.isIdle; slices++) applier.runSlice(({ index }) => seen.push(index));
  expect(slices).toBeGreaterThan(1);
  expect(seen).toEqual(Array.from({ length: 502 }, (_, at) => at + 1));
  expect(journal.entries.map(({ offset }) => offset)).toEqual(seen.slice(2));
  expect(applier.place).toEqual({ index: 502, term: 1, voters });
});

test("a restored snapshot takes the place of what waited up to its offset, and what waits behind it stays (H9)", () => {
  const { journal, applier } = parts();
  applier.push([data(1), data(2), data(3)]);
  applier.push([data(4), data(5)]);
  applier.restore({ index: 3, term: 1, voters: [] }, Buffer.from("[]"));
  expect(applier.bytesSinceSnapshot).toBe(0);
  applier.runSlice(() => undefined);
  expect(journal.texts).toEqual(["e4", "e5"]);
  expect(applier.index).toBe(5);
  expect(applier.bytesSinceSnapshot).toBe(4);
});

test("a gap is a bug, not a state", () => {
  const { applier } = parts();
  applier.push([data(2)]);
  expect(() => applier.runSlice(() => undefined)).toThrow("an entry was skipped");
});
