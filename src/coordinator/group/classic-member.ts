import { CONSUMER_PROTOCOL_TYPE, decodeSubscription } from "../../model/consumer-protocol.ts";
import type { Subscription } from "../../model/consumer-protocol.ts";
import { LograftError } from "../../base/errors.ts";
import { copyBytes } from "../../base/bytes.ts";
import type { OnGiven, ReplyTo } from "../shard.ts";
import { superseded } from "./classic-answers.ts";
import type { CallerInfo, GroupOutcome, JoinGroupRequest } from "./group-api.ts";
import type { JoinGroupResponse, SyncGroupResponse } from "./group-api.ts";
import type { ClassicMemberValue, GroupEffects } from "./group-records.ts";
import { refusedJoin, refusedSync } from "./group-rules.ts";

/** No assignment, no subscription. */
export const NO_BYTES: Buffer = Buffer.alloc(0);

/** A protocol that a member supports: an assignor, and what it has to be told. */
export interface ClassicProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

/** What a member says of itself when it joins. */
export interface ClassicProfile extends CallerInfo {
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** By preference; never empty. */
  readonly protocols: readonly ClassicProtocol[];
}

/** Names of one protocol cost something even when they are short. */
const PROTOCOL_OVERHEAD_BYTES = 32;

/** What the coordinator would remember of a member, in bytes. */
export function profileBytes({
  clientId,
  clientHost,
  protocols,
}: Pick<ClassicProfile, "clientId" | "clientHost" | "protocols">): number {
  let bytes = Buffer.byteLength(clientId) + Buffer.byteLength(clientHost);
  for (const { name, metadata } of protocols) {
    bytes += PROTOCOL_OVERHEAD_BYTES + Buffer.byteLength(name) + metadata.byteLength;
  }
  return bytes;
}

/** A copy of its bytes: they outlive the request. Without a rebalance timeout (-1) that of the session stands in. */
export function profileOf(request: JoinGroupRequest): ClassicProfile {
  const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs } = request;
  return {
    clientId,
    clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: copyBytes(metadata) })),
  };
}

/**
 * One member of a classic group. `profile` and `assignment` are in the group's record once a generation is complete; the
 * rest is of this term: what it still waits for, and how far it has come in the generation that is being made.
 */
export class ClassicMember {
  readonly memberId: string;
  /** Set: a static member (KIP-345). */
  readonly groupInstanceId: string | undefined;
  /** Verbatim what the leader has planned for it; empty: nothing. */
  assignment: Buffer = NO_BYTES;
  /** Its first join has not been answered: nobody may know of its id, so nobody could send heartbeats under it. */
  isNew = false;
  /** It has asked for its assignment of this generation. */
  hasSynced = true;
  #profile: ClassicProfile;
  #subscription: Subscription | null | undefined;
  /** Answers that were decided and have not gone out, and when the last of the others did. */
  #owed = 0;
  #givenMs = 0;
  #join: ReplyTo<JoinGroupResponse> | undefined;
  #sync: ReplyTo<SyncGroupResponse> | undefined;

  constructor(memberId: string, groupInstanceId: string | undefined, profile: ClassicProfile) {
    this.memberId = memberId;
    this.groupInstanceId = groupInstanceId;
    this.#profile = profile;
  }

  get profile(): ClassicProfile {
    return this.#profile;
  }

  set profile(profile: ClassicProfile) {
    this.#profile = profile;
    this.#subscription = undefined;
  }

  /** What is remembered of it. */
  get profileBytes(): number {
    return profileBytes(this.#profile);
  }

  get isJoining(): boolean {
    return this.#join !== undefined;
  }

  /** An answer is owed, so it has no reason to send anything and counts as alive. */
  get isWaiting(): boolean {
    return this.#join !== undefined || this.#sync !== undefined;
  }

  /**
   * Until when it need not be heard because of answers that wait, or waited, for a commit: how fast its coordinator can
   * write is not its fault (H62). While one waits, `whileOwedMs`.
   */
  excusedUntilMs(whileOwedMs: number): number {
    return this.#owed > 0 ? whileOwedMs : this.#givenMs + this.#profile.sessionTimeoutMs;
  }

  /** An answer to it was decided; to be called when it goes out. */
  owe(): OnGiven {
    this.#owed++;
    return (givenMs) => {
      this.#owed--;
      this.#givenMs = givenMs;
    };
  }

  /** What it said for a protocol; undefined: it does not support that one. */
  metadata(protocol: string | undefined): Buffer | undefined {
    return this.#profile.protocols.find(({ name }) => name === protocol)?.metadata;
  }

  /** Whether these are its protocols, in its order and byte for byte. */
  hasProtocols(protocols: readonly ClassicProtocol[]): boolean {
    const own = this.#profile.protocols;
    return (
      own.length === protocols.length &&
      own.every(
        ({ name, metadata }, at) =>
          name === protocols[at]?.name && metadata.equals(protocols[at]?.metadata ?? NO_BYTES),
      )
    );
  }

  /**
   * What it subscribes to, read from its first protocol (consumers say the same in all of them, user data apart).
   * Undefined: not a consumer, or not readable.
   */
  subscription(protocolType: string): Subscription | undefined {
    if (protocolType !== CONSUMER_PROTOCOL_TYPE) return undefined;
    this.#subscription ??= readSubscription(this.#profile.protocols[0]?.metadata ?? NO_BYTES) ?? null;
    return this.#subscription ?? undefined;
  }

  /** Its join is answered when the generation begins. Of two joins only the later one has somebody who listens. */
  parkJoin(to: ReplyTo<JoinGroupResponse>, groupId: string, effects: GroupEffects): void {
    this.answerJoin(refusedJoin(this.memberId, superseded(groupId, this.memberId)), effects);
    this.#join = to;
  }

  /** Its sync is answered when the leader's plan has come. */
  parkSync(to: ReplyTo<SyncGroupResponse>, groupId: string, effects: GroupEffects): void {
    this.answerSync(refusedSync(superseded(groupId, this.memberId)), effects);
    this.#sync = to;
    this.hasSynced = true;
  }

  /** Does nothing when no join waits. */
  answerJoin(response: JoinGroupResponse, effects: GroupEffects): void {
    if (this.#join !== undefined) effects.reply(this.#join, response, this.owe());
    this.#join = undefined;
  }

  /** Does nothing when no sync waits. */
  answerSync(response: SyncGroupResponse, effects: GroupEffects): void {
    if (this.#sync !== undefined) effects.reply(this.#sync, response, this.owe());
    this.#sync = undefined;
  }

  /** It is a member no more: whatever waits is refused, and there is no id to go on with. */
  dismiss(outcome: GroupOutcome, effects: GroupEffects): void {
    this.answerJoin(refusedJoin("", outcome), effects);
    this.answerSync(refusedSync(outcome), effects);
  }

  /** Takes what a record says of it. What it said for protocols that were not chosen is known in this term only. */
  restore(value: ClassicMemberValue, protocol: string): void {
    const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, subscription, assignment } = value;
    const isKept = this.metadata(protocol)?.equals(subscription) === true;
    const protocols = isKept ? this.#profile.protocols : [{ name: protocol, metadata: subscription }];
    this.profile = { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols };
    this.assignment = assignment;
  }

  /** As it lies in the group's record. */
  toValue(protocol: string, assignment: Buffer): ClassicMemberValue {
    const { clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs } = this.#profile;
    return {
      memberId: this.memberId,
      groupInstanceId: this.groupInstanceId ?? null,
      clientId,
      clientHost,
      rebalanceTimeoutMs,
      sessionTimeoutMs,
      subscription: this.metadata(protocol) ?? NO_BYTES,
      assignment,
    };
  }
}

/** A member may write what it likes: bytes that are no subscription are none. */
function readSubscription(metadata: Buffer): Subscription | undefined {
  try {
    return decodeSubscription(metadata);
  } catch (error: unknown) {
    if (error instanceof LograftError) return undefined;
    throw error;
  }
}
