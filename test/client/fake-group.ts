import { errorCodeOf, type ErrorName } from "../../src/model/error-code.ts";
import type {
  CommitOffsetsRequest,
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
  FetchOffsetsRequest,
  GroupAssignment,
} from "../../src/rpc/group-messages.ts";
import { decodeHeartbeatRequest, encodeHeartbeatResponse } from "../../src/rpc/membership-codec.ts";
import type { FakeCluster } from "./fake-cluster.ts";
import type { FakeStream, FakeStreamServer } from "./fake-stream.ts";

interface FakeMember {
  readonly memberId: string;
  epoch: number;
  /** "topic-partition": what it was given and has not given back. */
  held: Set<string>;
  told: string;
  stream: FakeStream | undefined;
}

/** A commit as it came. */
export interface SeenCommit {
  readonly memberId: string;
  readonly epoch: number;
  /** By "topic-partition". */
  readonly offsets: Readonly<Record<string, number>>;
}

/**
 * The coordinator of one group behind the fake cluster: shares the partitions out evenly by the rules of KIP-848 (nobody
 * gets what another one has not given back), keeps commits, and errs on demand.
 */
export class FakeGroup implements FakeStreamServer {
  readonly members = new Map<string, FakeMember>();
  readonly offsets = new Map<string, number>();
  readonly heartbeats: ConsumerGroupHeartbeatRequest[] = [];
  readonly commits: SeenCommit[] = [];
  readonly #cluster: FakeCluster;
  /** "topic-partition"s that are shared out. */
  partitions: string[];
  /** Whose coordinator this is. */
  coordinatorId = 0;
  intervalMs = 1000;
  epoch = 0;
  /** Answers heartbeats with an error. */
  heartbeatError: (request: ConsumerGroupHeartbeatRequest) => ErrorName | undefined = () => undefined;
  /** Answers the commit of a partition with an error. */
  commitError: (key: string, request: CommitOffsetsRequest) => ErrorName | undefined = () => undefined;
  fetchError: () => ErrorName | undefined = () => undefined;
  /** Heartbeats are not answered. */
  isSilent = false;

  constructor(options: { readonly partitions: readonly string[] }, deps: { readonly cluster: FakeCluster }) {
    this.partitions = [...options.partitions];
    this.#cluster = deps.cluster;
    const { cluster } = deps;
    cluster.otherStreams = this;
    cluster.answers.FindCoordinator = () => ({
      coordinators: [
        {
          groupId: "g",
          errorCode: 0,
          errorMessage: "",
          nodeId: this.coordinatorId,
          host: `b${this.coordinatorId}`,
          port: 9092,
        },
      ],
    });
    cluster.answers.ConsumerGroupHeartbeat = (request) =>
      this.#heartbeat(request as ConsumerGroupHeartbeatRequest, undefined);
    cluster.answers.CommitOffsets = (request, address) =>
      this.#commit(request as CommitOffsetsRequest, address);
    cluster.answers.FetchOffsets = (request) => this.#fetch(request as FetchOffsetsRequest);
  }

  /** The only member's id. */
  get memberId(): string {
    const [id] = this.members.keys();
    if (id === undefined) throw new Error("nobody has joined");
    return id;
  }

  /** What each member has, in the order of joining. */
  get shares(): string[][] {
    return [...this.members.values()].map(({ held }) => [...held].sort());
  }

  get streams(): FakeStream[] {
    return [...this.#cluster.streams].filter(({ method }) => method.endsWith("/Membership"));
  }

  /** Takes a member for dead, as after its session. */
  expel(memberId: string): void {
    this.members.delete(memberId);
    this.epoch++;
    this.#nudge(undefined);
  }

  /** Other partitions from now on. */
  share(partitions: readonly string[]): void {
    this.partitions = [...partitions];
    this.epoch++;
    this.#nudge(undefined);
  }

  onMessage(stream: FakeStream, message: Buffer): void {
    const request = decodeHeartbeatRequest(message);
    if (this.isSilent) return;
    if (stream.peer !== `b${this.coordinatorId}:9092`) {
      this.heartbeats.push(request);
      stream.answer([encodeHeartbeatResponse(failure("NOT_COORDINATOR"))]);
      return;
    }
    stream.answer([encodeHeartbeatResponse(this.#heartbeat(request, stream))]);
  }

  onGone(stream: FakeStream): void {
    for (const member of this.members.values()) if (member.stream === stream) member.stream = undefined;
  }

  #heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    stream: FakeStream | undefined,
  ): ConsumerGroupHeartbeatResponse {
    this.heartbeats.push(request);
    const { memberId, memberEpoch } = request;
    const error = this.heartbeatError(request);
    if (error !== undefined) return failure(error);
    const known = this.members.get(memberId);
    if (memberEpoch < 0) {
      this.members.delete(memberId);
      this.epoch++;
      this.#nudge(undefined);
      return { ...failure("NONE"), memberId, memberEpoch };
    }
    if (known === undefined && memberEpoch > 0) return failure("UNKNOWN_MEMBER_ID");
    const member = known ?? { memberId, epoch: 0, held: new Set(), told: "", stream };
    member.stream = stream;
    if (known === undefined) {
      this.members.set(memberId, member);
      this.epoch++;
    }
    const { owned } = request;
    if (owned !== undefined && owned !== null) member.held = new Set(keysOf(owned));
    const mayHave = this.#mayHave(member);
    const isComplete = mayHave.every((key) => member.held.has(key));
    const isClean = [...member.held].every((key) => mayHave.includes(key));
    if (isClean) member.epoch = this.epoch;
    else if (member.epoch === 0) member.epoch = 1;
    for (const key of mayHave) member.held.add(key);
    const told = mayHave.join();
    // As the coordinator does: what a member says is right is not said again.
    const isSaid = owned === undefined || owned === null || (isClean && isComplete);
    const isNews = told !== member.told || !isSaid;
    member.told = told;
    this.#nudge(member);
    return {
      ...failure("NONE"),
      memberId,
      memberEpoch: member.epoch,
      heartbeatIntervalMs: this.intervalMs,
      ...(isNews ? { assignment: assignmentOf(mayHave) } : {}),
    };
  }

  #target(member: FakeMember): string[] {
    const ids = [...this.members.keys()];
    const at = ids.indexOf(member.memberId);
    return this.partitions.filter((_, index) => index % ids.length === at);
  }

  #mayHave(member: FakeMember): string[] {
    const others = [...this.members.values()].filter((other) => other !== member);
    return this.#target(member).filter((key) => !others.some(({ held }) => held.has(key)));
  }

  #nudge(except: FakeMember | undefined): void {
    for (const member of this.members.values()) {
      if (member === except || this.#mayHave(member).join() === member.told) continue;
      member.stream?.answer([encodeHeartbeatResponse({ ...failure("NONE"), heartbeatNow: true })]);
    }
  }

  #commit(request: CommitOffsetsRequest, address: string): unknown {
    const { memberId, generationIdOrMemberEpoch: epoch } = request;
    const isHere = address === `b${this.coordinatorId}:9092`;
    const member = this.members.get(memberId);
    const offsets: Record<string, number> = {};
    const results = request.offsets.map(({ topic, partition, offset }) => {
      const key = `${topic}-${partition}`;
      let error = isHere ? this.commitError(key, request) : "NOT_COORDINATOR";
      if (member === undefined) error ??= "UNKNOWN_MEMBER_ID";
      else if (epoch < member.epoch) error ??= "STALE_MEMBER_EPOCH";
      else if (!member.held.has(key)) error ??= "INVALID_REQUEST";
      if (error === undefined) {
        this.offsets.set(key, offset);
        offsets[key] = offset;
      }
      return { topic, partition, errorCode: errorCodeOf(error ?? "NONE"), errorMessage: "" };
    });
    this.commits.push({ memberId, epoch, offsets });
    return { results };
  }

  #fetch(request: FetchOffsetsRequest): unknown {
    const error = this.fetchError();
    return {
      errorCode: errorCodeOf(error ?? "NONE"),
      errorMessage: "",
      offsets: request.partitions.map(({ topic, partition }) => ({
        topic,
        partition,
        errorCode: 0,
        errorMessage: "",
        offset: this.offsets.get(`${topic}-${partition}`) ?? -1,
        leaderEpoch: -1,
        metadata: "",
      })),
    };
  }
}

/** "topic-partition" of each partition of a message. */
export function keysOf({ topics }: GroupAssignment): string[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => `${topic}-${partition}`));
}

function assignmentOf(keys: readonly string[]): GroupAssignment {
  const topics = new Map<string, number[]>();
  for (const key of keys) {
    const at = key.lastIndexOf("-");
    const topic = key.slice(0, at);
    topics.set(topic, [...(topics.get(topic) ?? []), Number(key.slice(at + 1))]);
  }
  return {
    topics: [...topics].map(([topic, partitions]) => ({
      topicId: Buffer.from(topic.padEnd(16, "_")),
      topic,
      partitions,
    })),
  };
}

function failure(error: ErrorName): ConsumerGroupHeartbeatResponse {
  return {
    errorCode: errorCodeOf(error),
    errorMessage: "",
    memberId: "",
    memberEpoch: 0,
    heartbeatIntervalMs: 0,
    heartbeatNow: false,
  };
}
