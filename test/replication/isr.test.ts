import { describe, expect, test } from "vitest";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { NO_BROKER_EPOCH, nodeId } from "../../src/model/ids.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import { IsrState } from "../../src/replication/isr.ts";
import type { IsrProposal, IsrStart } from "../../src/replication/isr.ts";
import type { FollowerIdentity } from "../../src/replication/replica.ts";
import { nodes } from "../metadata/arbitrary-history.ts";

const LAG_MS = 100;
const everybody = (): boolean => true;

/** Led by broker 1 in epoch 5, all three replicas in sync, unless `fields` say otherwise. */
function imageOf(fields: Partial<PartitionImage> = {}): PartitionImage {
  return {
    replicas: nodes(1, 2, 3),
    isr: nodes(1, 2, 3),
    elr: [],
    lastKnownElr: [],
    addingReplicas: [],
    removingReplicas: [],
    leader: nodeId(1),
    leaderEpoch: leaderEpoch(5),
    partitionEpoch: 7,
    ...fields,
  };
}

/** A new leader at offset 10, all of it stored, at time 0; it knew the high watermark as 4. */
function started(image: Partial<PartitionImage> = {}, fields: Partial<IsrStart> = {}): IsrState {
  return new IsrState({
    self: nodeId(1),
    image: imageOf(image),
    logEndOffset: offset(10),
    durableEndOffset: offset(10),
    highWatermark: offset(4),
    minInsyncReplicas: 2,
    lagTimeMaxMs: LAG_MS,
    nowMs: 0,
    ...fields,
  });
}

const broker = (id: number, brokerEpoch = 100 + id): FollowerIdentity => ({
  nodeId: nodeId(id),
  brokerEpoch,
});

/** The broker follows and has stored everything up to there. */
function follows(isr: IsrState, id: number, end: number, nowMs = 0): void {
  isr.followed(broker(id), offset(end), nowMs);
  isr.progress(broker(id), offset(end), nowMs);
}

function members(proposal: IsrProposal | undefined): number[] | undefined {
  return proposal?.isr.map((member) => member.nodeId);
}

/** Proposes what there is to propose. */
function propose(isr: IsrState, nowMs = 0): IsrProposal {
  const proposal = isr.proposal(nowMs, everybody);
  if (proposal === undefined) throw new Error("there is nothing to propose");
  isr.proposed(proposal);
  return proposal;
}

describe("the high watermark", () => {
  test("is the own stored end when there is no other replica, whatever the minimum is", () => {
    const isr = started({ replicas: nodes(1), isr: nodes(1) }, { durableEndOffset: offset(8) });
    expect(isr.highWatermark).toBe(8);
    isr.ownAdvanced(offset(20), offset(8), 1);
    expect(isr.highWatermark).toBe(8);
    isr.ownAdvanced(offset(20), offset(15), 2);
    expect(isr.highWatermark).toBe(15);
  });

  test("starts where it was known, but not beyond what is stored", () => {
    expect(started().highWatermark).toBe(4);
    expect(started({}, { durableEndOffset: offset(3) }).highWatermark).toBe(3);
  });

  test("waits for each member to report in this epoch; where a follower's log ends says nothing yet (H36)", () => {
    const isr = started();
    follows(isr, 2, 10);
    isr.followed(broker(3), offset(10), 0);
    expect(isr.highWatermark).toBe(4);
    isr.progress(broker(3), offset(9), 0);
    expect(isr.highWatermark).toBe(9);
    isr.ownAdvanced(offset(20), offset(12), 0);
    isr.progress(broker(3), offset(20), 0);
    expect(isr.highWatermark).toBe(10);
    isr.progress(broker(2), offset(20), 0);
    expect(isr.highWatermark).toBe(12);
  });

  test("does not hear those who did not follow, or follow as another registration (H22)", () => {
    const isr = started({ isr: nodes(1, 2) });
    isr.progress(broker(2), offset(10), 0);
    expect(isr.highWatermark).toBe(4);
    follows(isr, 2, 6);
    isr.progress(broker(2, 101), offset(10), 0);
    isr.progress(broker(2, 103), offset(10), 0);
    isr.followed(broker(2, 101), offset(10), 0);
    isr.progress(broker(2, 101), offset(10), 0);
    expect(isr.highWatermark).toBe(6);
  });

  test("counts a member from nothing that has registered again", () => {
    const isr = started({ isr: nodes(1, 2) });
    follows(isr, 2, 10);
    isr.followed(broker(2, 200), offset(10), 0);
    isr.ownAdvanced(offset(11), offset(11), 0);
    isr.progress(broker(2), offset(11), 0);
    expect(isr.highWatermark).toBe(10);
    isr.progress(broker(2, 200), offset(11), 0);
    expect(isr.highWatermark).toBe(11);
  });

  test("never goes back, also when a follower comes back with less; and counts on the rest only", () => {
    const isr = started({ isr: nodes(1, 2) });
    follows(isr, 2, 10);
    isr.ownAdvanced(offset(20), offset(20), 0);
    isr.followed(broker(2), offset(7), 0);
    isr.progress(broker(2), offset(8), 0);
    expect(isr.highWatermark).toBe(10);
    isr.progress(broker(2), offset(15), 0);
    isr.progress(broker(2), offset(12), 0);
    isr.ownAdvanced(offset(21), offset(21), 0);
    expect(isr.highWatermark).toBe(15);
  });

  test("stands still while the committed ISR lacks its minimum, and goes on when the minimum is lowered (H37)", () => {
    const isr = started({ isr: nodes(1) });
    expect([isr.canCommit, isr.highWatermark]).toEqual([false, 4]);
    isr.minInsyncChanged(1);
    expect([isr.canCommit, isr.highWatermark]).toEqual([true, 10]);
    isr.minInsyncChanged(2);
    isr.ownAdvanced(offset(12), offset(12), 0);
    expect([isr.canCommit, isr.highWatermark]).toEqual([false, 10]);
  });

  test("does not need replicas for its minimum that are yet to come (H23)", () => {
    const growing = { replicas: nodes(1, 2), isr: nodes(1), addingReplicas: nodes(2) };
    expect(started(growing).highWatermark).toBe(10);
    expect(started({ ...growing, addingReplicas: [] }).highWatermark).toBe(4);
  });

  test("stands still while the controller keeps an ELR, whatever this broker takes for the minimum (KIP-966)", () => {
    const isr = started({ isr: nodes(1), elr: nodes(2) }, { minInsyncReplicas: 1 });
    expect([isr.canCommit, isr.highWatermark]).toEqual([false, 4]);
    isr.committed(imageOf({ isr: nodes(1), partitionEpoch: 8 }));
    expect([isr.canCommit, isr.highWatermark]).toEqual([true, 10]);
  });
});

describe("the maximal ISR while the controller is asked (KIP-497, H36)", () => {
  test("holds a newcomer from the moment it is asked for, and back to the committed ISR when it is refused", () => {
    const isr = started({ isr: nodes(1, 2) });
    for (const id of [2, 3]) follows(isr, id, 10);
    const proposal = propose(isr);
    expect(members(proposal)).toEqual([1, 2, 3]);
    isr.ownAdvanced(offset(20), offset(20), 0);
    isr.progress(broker(2), offset(20), 0);
    expect([isr.maximalIsr, isr.highWatermark]).toEqual([nodes(1, 2, 3), 10]);
    isr.rejected(proposal);
    expect([isr.maximalIsr, isr.highWatermark]).toEqual([nodes(1, 2), 20]);
  });

  test("holds a member until its removal is committed", () => {
    const isr = started();
    follows(isr, 2, 10);
    expect(members(propose(isr, LAG_MS + 1))).toEqual([1, 2]);
    expect(isr.highWatermark).toBe(4);
    isr.committed(imageOf({ isr: nodes(1, 2), partitionEpoch: 8 }));
    expect(isr.highWatermark).toBe(10);
  });

  test("a newcomer does not help to the minimum before it is committed", () => {
    const isr = started({ isr: nodes(1) });
    follows(isr, 2, 10);
    propose(isr);
    expect(isr.highWatermark).toBe(4);
    isr.committed(imageOf({ isr: nodes(1, 2), partitionEpoch: 8 }));
    expect(isr.highWatermark).toBe(10);
  });

  test("holds a newcomer whose request was lost until the partition epoch has moved, and asks for just that", () => {
    const isr = started({ isr: nodes(1, 2) });
    for (const id of [2, 3]) follows(isr, id, 10);
    isr.lost(propose(isr));
    isr.ownAdvanced(offset(20), offset(20), 1);
    isr.progress(broker(2), offset(20), 1);
    const again = isr.proposal(LAG_MS * 2, everybody)!;
    expect(members(again)).toEqual([1, 2]);
    isr.proposed(again);
    isr.rejected(again);
    expect([isr.maximalIsr, isr.highWatermark]).toEqual([nodes(1, 2, 3), 10]);
    isr.proposed(again);
    isr.committed(imageOf({ isr: nodes(1, 2), partitionEpoch: 8 }));
    expect([isr.maximalIsr, isr.highWatermark]).toEqual([nodes(1, 2), 20]);
    expect(isr.proposal(LAG_MS * 2, everybody)).toBeUndefined();
  });

  test("an answer that comes after the state has moved past its request changes nothing", () => {
    const isr = started({ isr: nodes(1) });
    for (const id of [2, 3]) follows(isr, id, 10);
    const first = propose(isr);
    isr.committed(imageOf({ isr: nodes(1, 2), partitionEpoch: 8 }));
    const second = propose(isr);
    isr.rejected(first);
    isr.lost(first);
    expect(isr.maximalIsr).toEqual(nodes(1, 2, 3));
    isr.rejected(second);
    expect(isr.maximalIsr).toEqual(nodes(1, 2));
  });

  test("states that are older, or of another leader epoch, are ignored", () => {
    const isr = started();
    isr.committed(imageOf({ isr: nodes(1), partitionEpoch: 7 }));
    isr.committed(imageOf({ isr: nodes(1), partitionEpoch: 9, leaderEpoch: leaderEpoch(6) }));
    expect(isr.image).toEqual(imageOf());
  });

  test("one at a time", () => {
    const isr = started({ isr: nodes(1) });
    follows(isr, 2, 10);
    const proposal = propose(isr);
    follows(isr, 3, 10);
    expect(isr.proposal(0, everybody)).toBeUndefined();
    expect(() => isr.proposed(proposal)).toThrow("one proposal at a time");
  });
});

describe("a follower joins", () => {
  test("when it has what is committed and all from before the epoch, stored and reported (H39)", () => {
    const isr = started({ isr: nodes(1, 2) });
    isr.followed(broker(3), offset(10), 0);
    expect(isr.proposal(0, everybody)).toBeUndefined();
    isr.progress(broker(3), offset(9), 0);
    expect(isr.proposal(0, everybody), "below the epoch's start").toBeUndefined();
    isr.progress(broker(3), offset(10), 0);
    expect(isr.proposal(0, everybody)).toEqual({
      isr: [broker(1, NO_BROKER_EPOCH), broker(2, NO_BROKER_EPOCH), broker(3)],
      leaderEpoch: 5,
      partitionEpoch: 7,
    });
  });

  test("not below the high watermark", () => {
    const isr = started({ isr: nodes(1, 2) });
    follows(isr, 3, 10);
    isr.ownAdvanced(offset(20), offset(20), 0);
    follows(isr, 2, 20);
    expect(isr.highWatermark).toBe(20);
    expect(isr.proposal(0, everybody)).toBeUndefined();
    isr.progress(broker(3), offset(20), 0);
    expect(members(isr.proposal(0, everybody))).toEqual([1, 2, 3]);
  });

  test("only as the registration that follows, and only if that may (H22)", () => {
    const isr = started({ isr: nodes(1, 2) });
    follows(isr, 3, 10);
    const asked: (readonly [number, number])[] = [];
    const nobody = (node: number, brokerEpoch: number): boolean => {
      asked.push([node, brokerEpoch]);
      return false;
    };
    expect(isr.proposal(0, nobody)).toBeUndefined();
    expect(asked).toEqual([[3, 103]]);
  });

  test("not while it is so far behind that it would have to leave at once", () => {
    const isr = started({ isr: nodes(1, 2) });
    follows(isr, 2, 10);
    isr.ownAdvanced(offset(30), offset(30), 0);
    isr.followed(broker(3), offset(0), 1);
    isr.progress(broker(3), offset(15), 2);
    expect(isr.proposal(2, everybody), "above the high watermark, never up to date").toBeUndefined();
    isr.progress(broker(3), offset(30), 3);
    expect(members(isr.proposal(3, everybody))).toEqual([1, 2, 3]);
  });

  test("anew, when it was no replica in the meantime (H23)", () => {
    const isr = started({ isr: nodes(1, 2) });
    follows(isr, 3, 10);
    isr.committed(imageOf({ replicas: nodes(1, 2), isr: nodes(1, 2), partitionEpoch: 8 }));
    isr.committed(imageOf({ isr: nodes(1, 2), partitionEpoch: 9 }));
    expect(isr.proposal(0, everybody)).toBeUndefined();
    follows(isr, 3, 10);
    expect(members(isr.proposal(0, everybody))).toEqual([1, 2, 3]);
  });
});

describe("a member leaves", () => {
  test("when it was not heard of for the lag time after the epoch began", () => {
    const isr = started();
    follows(isr, 2, 10);
    expect(isr.proposal(LAG_MS, everybody)).toBeUndefined();
    expect(members(isr.proposal(LAG_MS + 1, everybody))).toEqual([1, 2]);
  });

  test("the lag time after the leader's log has grown without it, however long it was idle before", () => {
    const isr = started({ isr: nodes(1, 2), replicas: nodes(1, 2) });
    follows(isr, 2, 10);
    expect(isr.proposal(1_000_000, everybody), "idle, and has everything").toBeUndefined();
    isr.ownAdvanced(offset(11), offset(11), 2_000_000);
    isr.ownAdvanced(offset(12), offset(12), 2_000_050);
    expect(isr.proposal(2_000_000 + LAG_MS, everybody)).toBeUndefined();
    expect(members(isr.proposal(2_000_001 + LAG_MS, everybody))).toEqual([1]);
    isr.progress(broker(2), offset(12), 2_000_200);
    expect(isr.proposal(2_000_200, everybody)).toBeUndefined();
  });

  test("the lag time after it was restarted, however long everything was idle before", () => {
    const isr = started({ isr: nodes(1, 2), replicas: nodes(1, 2) });
    follows(isr, 2, 10);
    isr.followed(broker(2, 200), offset(10), 5000);
    expect(isr.proposal(5000 + LAG_MS, everybody)).toBeUndefined();
    expect(members(isr.proposal(5001 + LAG_MS, everybody))).toEqual([1]);
  });

  test("not as long as it is soon where the leader was: never at its end, yet never behind for long", () => {
    const isr = started({ isr: nodes(1, 2), replicas: nodes(1, 2) });
    follows(isr, 2, 10);
    for (let step = 1; step <= 20; step++) {
      const nowMs = step * 60;
      isr.ownAdvanced(offset(10 + step * 10), offset(10), nowMs);
      // Always one step behind: what the leader had at the report before.
      isr.progress(broker(2), offset(step * 10), nowMs + 1);
      expect(isr.proposal(nowMs + 1, everybody), `step ${step}`).toBeUndefined();
    }
  });

  test("when it moves but falls ever further behind", () => {
    const isr = started({ isr: nodes(1, 2), replicas: nodes(1, 2) });
    follows(isr, 2, 10);
    let left: number[] | undefined;
    for (let step = 1; step <= 10 && left === undefined; step++) {
      isr.ownAdvanced(offset(10 + step * 10), offset(10), step * 60);
      isr.progress(broker(2), offset(10 + step), step * 60);
      left = members(isr.proposal(step * 60, everybody));
    }
    expect(left).toEqual([1]);
  });

  test("while another joins, in one request", () => {
    const isr = started({ isr: nodes(1, 2) });
    follows(isr, 3, 10);
    expect(members(isr.proposal(LAG_MS + 1, everybody))).toEqual([1, 3]);
  });
});

test("a leader's log does not shrink, and nothing is stored that is not written", () => {
  const isr = started();
  expect(() => isr.ownAdvanced(offset(9), offset(9), 0)).toThrow("never shrinks");
  expect(() => isr.ownAdvanced(offset(11), offset(12), 0)).toThrow("more is stored");
  expect(() => started({ leader: nodeId(2) })).toThrow("its leader's");
});
