import { assert } from "../base/assert.ts";
import { settledReplicas } from "../metadata/image.ts";
import type { PartitionImage } from "../metadata/image.ts";
import { NO_BROKER_EPOCH } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import { requiredInSync } from "../model/insync.ts";
import { maxOffset, minOffset } from "../model/offsets.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import { FollowerProgress } from "./follower-progress.ts";
import type { FollowerIdentity } from "./replica.ts";

/** An ISR that the leader asks the controller for; holds only if the partition is still in these epochs (KIP-497). */
export interface IsrProposal {
  /**
   * The leader among them. A broker epoch of `NO_BROKER_EPOCH` is one that the leader has not heard in its epoch: that of
   * itself, or of a member that stays as it is.
   */
  readonly isr: readonly FollowerIdentity[];
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: number;
}

/** May this registration of a broker be in an ISR: is it the present one, unfenced, and not on its way out (KIP-841)? */
export type IsEligible = (nodeId: NodeId, brokerEpoch: number) => boolean;

export interface IsrStart {
  readonly self: NodeId;
  /** In which `self` leads. */
  readonly image: PartitionImage;
  /** Where the new leader's log ends: the epoch's start offset. */
  readonly logEndOffset: Offset;
  readonly durableEndOffset: Offset;
  /** As it was last known, which may be long ago. */
  readonly highWatermark: Offset;
  /** As it is set for the topic; see `requiredInSync`. */
  readonly minInsyncReplicas: number;
  /** `replica.lag.time.max.ms`. */
  readonly lagTimeMaxMs: number;
  readonly nowMs: number;
  /** For tests, which must notice it: leaves one rule out, and what else would see to it. */
  readonly sabotage?: "committedIsrOnly" | "joinWithoutEpochStart";
}

/**
 * The leader's arithmetic for one partition in one leader epoch: how far everybody has it, and whose having it counts.
 * Pure; times are arguments, in monotonic ms.
 *
 * The leader may not wait for the controller each time a follower falls behind or comes back, and may not know for a
 * while what the controller made of its last request. So the high watermark rests on the *maximal* ISR: every set that
 * may be the committed one now or soon is a part of it. What is below the high watermark is therefore on every member of
 * the controller's ISR, whichever way a request in flight comes out (H36; KIP-497, KIP-966). A removal counts when it is
 * committed, an addition from the moment it is asked for.
 */
export class IsrState {
  /** Where the leader's epoch begins in its log. Nobody joins below: the high watermark may be stale until then (H39). */
  readonly epochStartOffset: Offset;
  readonly #self: NodeId;
  readonly #lagTimeMaxMs: number;
  readonly #sabotage: IsrStart["sabotage"];
  #image: PartitionImage;
  #minInsyncReplicas: number;
  #logEndOffset: Offset;
  #durableEndOffset: Offset;
  #highWatermark: Offset;
  /** Of all replicas but the leader. */
  #followers = new Map<NodeId, FollowerProgress>();
  #inFlight: IsrProposal | undefined;
  /** Were asked for in vain, but the request may still arrive: they count until the partition epoch moves. */
  readonly #doubtful = new Set<NodeId>();
  #maximalIsr: readonly NodeId[];

  constructor(start: IsrStart) {
    const { self, image, logEndOffset, durableEndOffset, highWatermark, nowMs } = start;
    assert(image.leader === self, "the arithmetic of an ISR is its leader's", { self, leader: image.leader });
    assert(durableEndOffset <= logEndOffset, "more is stored than written", {
      durableEndOffset,
      logEndOffset,
    });
    this.epochStartOffset = logEndOffset;
    this.#self = self;
    this.#lagTimeMaxMs = start.lagTimeMaxMs;
    this.#sabotage = start.sabotage;
    this.#image = image;
    this.#minInsyncReplicas = start.minInsyncReplicas;
    this.#logEndOffset = logEndOffset;
    this.#durableEndOffset = durableEndOffset;
    this.#highWatermark = minOffset(highWatermark, durableEndOffset);
    this.#maximalIsr = image.isr;
    // Members have the whole lag time to be heard of; the others have yet to show that they can keep up.
    this.#trackReplicas((node) => (image.isr.includes(node) ? nowMs : Number.NEGATIVE_INFINITY));
    this.#advance();
  }

  /** Records below are committed. Never goes back. */
  get highWatermark(): Offset {
    return this.#highWatermark;
  }

  /** The partition as the controller last committed it, as far as this leader knows. */
  get image(): PartitionImage {
    return this.#image;
  }

  /** All that may be in the controller's ISR. */
  get maximalIsr(): readonly NodeId[] {
    return this.#maximalIsr;
  }

  /**
   * Whether records can be committed now: the committed ISR has its minimum (H37). While the controller keeps an ELR it
   * counts on nothing being committed, whatever this broker takes for the minimum: its configuration may be the older.
   */
  get canCommit(): boolean {
    const { isr, elr } = this.#image;
    return (
      isr.length >= requiredInSync(this.#minInsyncReplicas, settledReplicas(this.#image)) && elr.length === 0
    );
  }

  /** The own log was written to, or more of it is stored. */
  ownAdvanced(logEndOffset: Offset, durableEndOffset: Offset, nowMs: number): void {
    assert(logEndOffset >= this.#logEndOffset, "a leader's log never shrinks", {
      from: this.#logEndOffset,
      to: logEndOffset,
    });
    assert(durableEndOffset <= logEndOffset, "more is stored than written", {
      durableEndOffset,
      logEndOffset,
    });
    if (logEndOffset > this.#logEndOffset) {
      for (const follower of this.#followers.values()) follower.leaderGrows(this.#logEndOffset, nowMs);
      this.#logEndOffset = logEndOffset;
    }
    this.#durableEndOffset = maxOffset(this.#durableEndOffset, durableEndOffset);
    this.#advance();
  }

  /** The follower's log agrees with this one up to its end, and it reads on in this epoch. Nothing is stored yet by that. */
  followed(follower: FollowerIdentity, logEndOffset: Offset, nowMs: number): void {
    const { nodeId, brokerEpoch } = follower;
    this.#followers.get(nodeId)?.follow(brokerEpoch, logEndOffset, this.#logEndOffset, nowMs);
  }

  /** The follower has stored all below `endOffset`. Ignored before it followed and from another registration of it. */
  progress(follower: FollowerIdentity, endOffset: Offset, nowMs: number): void {
    const { nodeId, brokerEpoch } = follower;
    this.#followers.get(nodeId)?.report(brokerEpoch, endOffset, this.#logEndOffset, nowMs);
    this.#advance();
  }

  /**
   * What should be asked of the controller now; undefined: nothing, or an answer is awaited. The same ISR again is asked
   * for after a request was lost: its commit moves the partition epoch, and the lost one can no longer take effect.
   */
  proposal(nowMs: number, isEligible: IsEligible): IsrProposal | undefined {
    if (this.#inFlight !== undefined) return undefined;
    const { isr, replicas, leaderEpoch, partitionEpoch } = this.#image;
    const stays = isr.filter((node) => node === this.#self || this.#isCaughtUp(node, nowMs));
    const joins = replicas.filter((node) => !isr.includes(node) && this.#mayJoin(node, nowMs, isEligible));
    if (joins.length === 0 && stays.length === isr.length && this.#doubtful.size === 0) return undefined;
    const members = [...stays, ...joins].map((nodeId) => ({ nodeId, brokerEpoch: this.#epochOf(nodeId) }));
    return { isr: members, leaderEpoch, partitionEpoch };
  }

  /** It is on its way: call before it is sent. */
  proposed(proposal: IsrProposal): void {
    assert(this.#inFlight === undefined, "one proposal at a time", {
      partitionEpoch: proposal.partitionEpoch,
    });
    assert(proposal.partitionEpoch === this.#image.partitionEpoch, "a proposal for another state", {
      proposal: proposal.partitionEpoch,
      image: this.#image.partitionEpoch,
    });
    this.#inFlight = proposal;
    this.#recount();
  }

  /** The controller refused it and will not carry it out later. Ignored when the state has moved past it. */
  rejected(proposal: IsrProposal): void {
    if (proposal !== this.#inFlight) return;
    this.#inFlight = undefined;
    this.#recount();
  }

  /** No answer came: it may have been carried out, or may yet be. Ignored when the state has moved past it. */
  lost(proposal: IsrProposal): void {
    if (proposal !== this.#inFlight) return;
    this.#inFlight = undefined;
    for (const { nodeId } of proposal.isr) {
      if (!this.#image.isr.includes(nodeId)) this.#doubtful.add(nodeId);
    }
    this.#recount();
  }

  /**
   * The partition as the controller committed it, by an answer or by the metadata. Requests at an older partition epoch
   * are settled by that. What is older than the known state, or of another leader epoch, is ignored.
   */
  committed(image: PartitionImage): void {
    if (image.leaderEpoch !== this.#image.leaderEpoch || image.partitionEpoch <= this.#image.partitionEpoch)
      return;
    this.#image = image;
    this.#inFlight = undefined;
    this.#doubtful.clear();
    this.#trackReplicas(() => Number.NEGATIVE_INFINITY);
    this.#recount();
  }

  /** The topic's minimum is another one. Comes before the state that was committed with it or later. */
  minInsyncChanged(minInsyncReplicas: number): void {
    this.#minInsyncReplicas = minInsyncReplicas;
    this.#advance();
  }

  /** A replica that is taken away and comes back later begins anew (H23). */
  #trackReplicas(caughtUpMsOf: (node: NodeId) => number): void {
    const before = this.#followers;
    const others = this.#image.replicas.filter((node) => node !== this.#self);
    this.#followers = new Map(
      others.map((node) => [node, before.get(node) ?? new FollowerProgress(caughtUpMsOf(node))]),
    );
  }

  #recount(): void {
    const maximal = new Set(this.#image.isr);
    for (const { nodeId } of this.#inFlight?.isr ?? []) maximal.add(nodeId);
    for (const node of this.#doubtful) maximal.add(node);
    this.#maximalIsr = [...maximal];
    this.#advance();
  }

  #advance(): void {
    if (!this.canCommit) return;
    let endOffset = this.#durableEndOffset;
    const counted = this.#sabotage === "committedIsrOnly" ? this.#image.isr : this.#maximalIsr;
    for (const node of counted) {
      const follower = this.#followers.get(node);
      if (follower !== undefined) endOffset = minOffset(endOffset, follower.endOffset);
    }
    this.#highWatermark = maxOffset(this.#highWatermark, endOffset);
  }

  #isCaughtUp(node: NodeId, nowMs: number): boolean {
    return this.#followers.get(node)?.isCaughtUp(this.#logEndOffset, nowMs, this.#lagTimeMaxMs) ?? false;
  }

  /**
   * Beyond KIP-966's rules it must keep up with the leader, in this epoch: otherwise it would have to leave again at once.
   */
  #mayJoin(node: NodeId, nowMs: number, isEligible: IsEligible): boolean {
    const follower = this.#followers.get(node);
    if (follower === undefined || follower.endOffset < this.#highWatermark) return false;
    if (this.#sabotage !== "joinWithoutEpochStart") {
      if (follower.endOffset < this.epochStartOffset || !this.#isCaughtUp(node, nowMs)) return false;
    }
    return isEligible(node, follower.brokerEpoch);
  }

  #epochOf(node: NodeId): number {
    return this.#followers.get(node)?.brokerEpoch ?? NO_BROKER_EPOCH;
  }
}
