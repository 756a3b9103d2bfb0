import {
  CONSUMER_PROTOCOL_TYPE,
  decodeAssignment,
  encodeSubscription,
  type NamedPartitions,
  UNKNOWN_GENERATION,
} from "../model/consumer-protocol.ts";
import { errorNameOf, ProtocolError } from "../model/error-code.ts";
import type { GroupProtocol, JoinGroupResponse, MemberAssignment } from "../rpc/group-messages.ts";
import type { ClientAssignor, MemberPlan } from "./assignors/assignor.ts";
import { type PartitionCounts, planGroup } from "./classic-plan.ts";
import type { ClientContext } from "./client-context.ts";
import type { CoordinatorCalls } from "./coordinator-calls.ts";
import { OwnedPartitions } from "./owned-partitions.ts";

/** Who calls. */
export interface ClassicCallsOptions {
  readonly groupId: string;
  readonly instanceId?: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly assignors: readonly ClientAssignor[];
}

/** What a member gets in a generation. */
export interface ClassicAssignment {
  readonly target: OwnedPartitions;
  readonly plan: MemberPlan;
  readonly assignor: ClientAssignor;
  readonly generationId: number;
  /** What the plan rests on; undefined unless this member is the leader. */
  readonly partitionCounts: PartitionCounts | undefined;
}

/** A coordinator waits for the slowest member; its answer needs a moment more. */
const JOIN_MARGIN_MS = 5000;

/**
 * JoinGroup, SyncGroup and LeaveGroup of one member, and who it is by their answers. Errors of the answers are thrown.
 */
export class ClassicCalls {
  readonly #options: ClassicCallsOptions;
  readonly #context: ClientContext;
  readonly #calls: CoordinatorCalls;
  readonly #signal: AbortSignal;
  #memberId = "";
  #generationId = UNKNOWN_GENERATION;
  /** For assignors that remember: kept when the membership is lost, the generation tells how old it is. */
  #lastAssigned: readonly NamedPartitions[] = [];
  #lastGenerationId = UNKNOWN_GENERATION;

  /** `signal` ends joins and syncs. */
  constructor(
    options: ClassicCallsOptions,
    deps: {
      readonly context: ClientContext;
      readonly calls: CoordinatorCalls;
      readonly signal: AbortSignal;
    },
  ) {
    this.#options = options;
    this.#context = deps.context;
    this.#calls = deps.calls;
    this.#signal = deps.signal;
  }

  /** Empty before the coordinator gave one. */
  get memberId(): string {
    return this.#memberId;
  }

  /** -1 without a living one. */
  get generationId(): number {
    return this.#generationId;
  }

  forgetGeneration(): void {
    this.#generationId = UNKNOWN_GENERATION;
  }

  forgetMember(): void {
    this.#memberId = "";
    this.forgetGeneration();
  }

  /** Joins; may take as long as the slowest member. @throws LograftError of the calls, ProtocolError of the answer. */
  async join(topics: readonly string[], owned: readonly NamedPartitions[]): Promise<JoinGroupResponse> {
    const protocols = this.#options.assignors.map((assignor) => this.#protocol(assignor, topics, owned));
    let response = await this.#join(protocols);
    if (errorNameOf(response.errorCode) === "MEMBER_ID_REQUIRED" && response.memberId !== "") {
      // KIP-394: who comes again with the id it was given is taken for a member.
      this.#memberId = response.memberId;
      response = await this.#join(protocols);
    }
    this.#check("JoinGroup", response);
    this.#memberId = response.memberId;
    this.#generationId = response.generationId;
    return response;
  }

  /** Gets the assignment; the leader makes the plan before. @throws as `join`; INVALID_ARGUMENT for a bad assignor. */
  async sync(joined: JoinGroupResponse): Promise<ClassicAssignment> {
    const { groupId, instanceId, assignors, rebalanceTimeoutMs } = this.#options;
    const { generationId, memberId, protocolName } = joined;
    const assignor = assignors.find(({ name }) => name === protocolName);
    if (assignor === undefined) {
      throw new ProtocolError(
        "INCONSISTENT_GROUP_PROTOCOL",
        `group ${groupId} uses the assignor ${protocolName}, which this member does not have; add it to assignors`,
      );
    }
    let assignments: readonly MemberAssignment[] = [];
    let partitionCounts: PartitionCounts | undefined;
    if (joined.leader === memberId) {
      const options = { timeoutMs: this.#context.requestTimeoutMs, signal: this.#signal };
      const plan = await planGroup(assignor, joined.members, this.#context, options);
      partitionCounts = plan.partitionCounts;
      // KIP-814: a static leader that came back finds the plan of before in force and only keeps watch over it.
      if (!joined.skipAssignment) assignments = plan.assignments;
    }
    const request = {
      groupId,
      generationId,
      memberId,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocolName,
      assignments,
    };
    const timeoutMs = rebalanceTimeoutMs + JOIN_MARGIN_MS;
    const response = await this.#calls.call("SyncGroup", request, { timeoutMs, signal: this.#signal });
    this.#check("SyncGroup", response);
    const plan = decodeAssignment(response.assignment);
    this.#lastAssigned = plan.partitions;
    this.#lastGenerationId = generationId;
    return { target: new OwnedPartitions(plan.partitions), plan, assignor, generationId, partitionCounts };
  }

  /** Does nothing for one that the coordinator does not know. @throws LograftError of the calls. */
  async leave(timeoutMs: number): Promise<void> {
    const { groupId, instanceId } = this.#options;
    if (this.#memberId === "") return;
    const member = {
      memberId: this.#memberId,
      reason: "the consumer is closed",
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
    };
    await this.#calls.call("LeaveGroup", { groupId, members: [member] }, { timeoutMs });
  }

  #join(protocols: readonly GroupProtocol[]): Promise<JoinGroupResponse> {
    const { groupId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    const request = {
      groupId,
      memberId: this.#memberId,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocols,
      clientId: this.#context.clientId,
    };
    const timeoutMs = rebalanceTimeoutMs + JOIN_MARGIN_MS;
    return this.#calls.call("JoinGroup", request, { timeoutMs, signal: this.#signal });
  }

  #protocol(
    assignor: ClientAssignor,
    topics: readonly string[],
    ownedPartitions: readonly NamedPartitions[],
  ): GroupProtocol {
    const userData = assignor.subscriptionUserData?.({
      topics,
      lastAssigned: this.#lastAssigned,
      generationId: this.#lastGenerationId,
    });
    const { rack } = this.#context;
    const metadata = encodeSubscription({
      topics,
      userData: userData === undefined ? undefined : Buffer.from(userData),
      ownedPartitions,
      // That in which it got what it owns, not that of a join whose sync failed.
      generationId: this.#generationId < 0 ? UNKNOWN_GENERATION : this.#lastGenerationId,
      rackId: rack === "" ? undefined : rack,
    });
    return { name: assignor.name, metadata };
  }

  #check(
    method: "JoinGroup" | "SyncGroup",
    { errorCode, errorMessage }: { readonly errorCode: number; readonly errorMessage: string },
  ): void {
    if (errorCode === 0) return;
    const name = errorNameOf(errorCode);
    const { groupId } = this.#options;
    throw new ProtocolError(
      name,
      `group ${groupId}, ${method} of ${this.#memberId === "" ? "a new member" : this.#memberId}: ${errorMessage === "" ? name : errorMessage}`,
      { context: { groupId, memberId: this.#memberId, generationId: this.#generationId } },
    );
  }
}
