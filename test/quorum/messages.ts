import fc from "fast-check";
import { nodeId } from "../../src/model/ids.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import type { Entry, RaftMessage, ReplicaId, SnapshotDescription, VoterSet } from "../../src/raft/types.ts";

/* Arbitrary Raft messages and their parts. */

const count = fc
  .nat({ max: 2 ** 31 - 1 })
  .chain((low) => fc.constantFrom(low, low * 2 ** 20, 2 ** 53 - 2 ** 20));
const directory = fc.stringMatching(/^[A-Za-z0-9_-]{1,22}$/);
const replica: fc.Arbitrary<ReplicaId> = fc
  .tuple(fc.nat({ max: 0x7fffffff }), directory)
  .map(([node, id]) => replicaIdOf(nodeId(node), id));
const bytes = fc.uint8Array({ maxLength: 40 }).map((data) => Buffer.from(data));
const text = fc.string({ unit: "grapheme", maxLength: 20 });

export const voters: fc.Arbitrary<VoterSet> = fc
  .uniqueArray(fc.record({ id: replica, endpoint: text }), { maxLength: 5, selector: ({ id }) => id })
  .map((all) => all.toSorted((a, b) => (a.id < b.id ? -1 : 1)));

export const description: fc.Arbitrary<SnapshotDescription> = fc.record({
  index: count,
  term: count,
  voters,
  sizeBytes: fc.constant(100),
  checksum: fc.nat({ max: 0xffffffff }),
});

const to = { from: replica, to: replica, term: count };
const last = { lastIndex: count, lastTerm: count };

const append = fc
  .record({
    ...to,
    prevIndex: count,
    prevTerm: count,
    commit: count,
    raw: fc.array(
      fc.record({
        term: count,
        kind: fc.constantFrom("noop" as const, "data" as const, "voters" as const),
        data: bytes,
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ raw, ...rest }): RaftMessage => {
    const entries = raw.map((entry, at): Entry => ({ index: rest.prevIndex + 1 + at, ...entry }));
    return { type: "AppendRequest", ...rest, entries };
  });

export const message: fc.Arbitrary<RaftMessage> = fc.oneof(
  fc.record({ type: fc.constant("PreVoteRequest" as const), ...to, ...last }),
  fc.record({
    type: fc.constant("PreVoteResponse" as const),
    ...to,
    granted: fc.boolean(),
    requestTerm: count,
  }),
  fc.record({ type: fc.constant("VoteRequest" as const), ...to, ...last, isTransfer: fc.boolean() }),
  fc.record({ type: fc.constant("VoteResponse" as const), ...to, granted: fc.boolean() }),
  append,
  fc.record({
    type: fc.constant("AppendResponse" as const),
    ...to,
    accepted: fc.boolean(),
    index: count,
    hintIndex: count,
    hintTerm: count,
  }),
  fc.record({ type: fc.constant("HeartbeatRequest" as const), ...to, commit: count, round: count }),
  fc.record({ type: fc.constant("HeartbeatResponse" as const), ...to, round: count }),
  fc.record({
    type: fc.constant("SnapshotRequest" as const),
    ...to,
    snapshot: description,
    position: fc.nat({ max: 60 }),
    data: bytes,
  }),
  fc.record({
    type: fc.constant("SnapshotResponse" as const),
    ...to,
    snapshotIndex: count,
    receivedBytes: count,
  }),
  fc.record({ type: fc.constant("TimeoutNowRequest" as const), ...to }),
  fc.record({ type: fc.constant("ObserveRequest" as const), ...to, endpoint: text }),
);
