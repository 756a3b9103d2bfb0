import { abortable, throwIfAborted } from "../base/abort.ts";
import { assert } from "../base/assert.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage, operationError } from "../base/errors.ts";
import type { LograftError } from "../base/errors.ts";
import type { Histogram } from "../base/histogram.ts";
import { componentLogger } from "../base/logger.ts";
import type { NodeId } from "../model/ids.ts";
import type { RaftMessage, RaftStatus, ReplicaId } from "../raft/types.ts";
import { AddressBook } from "./address-book.ts";
import { DiskRoom } from "./disk-room.ts";
import { Joining } from "./joining.ts";
import { decodeMessage } from "./message-codec.ts";
import { OwnEndpoint } from "./own-endpoint.ts";
import { PeerWatch } from "./peer-watch.ts";
import { closedError, notControllerError } from "./quorum-error.ts";
import { openStorage } from "./quorum-storage.ts";
import type { QuorumStorage } from "./quorum-storage.ts";
import type { Proposal, QuorumDeps, QuorumOptions, QuorumRole, VoterChange } from "./quorum-types.ts";
import { RaftDriver } from "./raft-driver.ts";
import type { Hello } from "./raft-transport.ts";
import { parseReplicaId, replicaIdOf } from "./replica-id.ts";
import { RoleWatch } from "./role-watch.ts";
import { Ticker } from "./ticker.ts";
import { VoterChanges } from "./voter-changes.ts";
import { OffsetWaiters, PendingProposals } from "./waiting.ts";

const DEFAULT_SNAPSHOT_AFTER_BYTES = 8 * 1024 * 1024;
const DEFAULT_KEEP_ENTRIES = 1000;
const DEFAULT_MAX_PENDING = 4096;
/** Callers that may wait for an offset at the same time. */
const MAX_WAITERS = 10_000;
/** Between two looks at the disk's free room, and two log lines about foreign messages. */
const HOUSEKEEPING_MS = 1000;
/** A message for somebody else is an old connection or a wrong address; many of them are one line. */
const FOREIGN = "a Raft message was dropped";

/**
 * One node of the metadata quorum: its log, its vote, and the state machine that the log is for. What Raft decides is in
 * `raft`; here it gets its disk, its clock and its peers.
 */
export class QuorumNode {
  readonly directoryId: string;
  /** Resolves with the error after which this node neither leads nor votes: the process must end (H15). */
  readonly failure: Promise<Error>;
  readonly #options: QuorumOptions;
  readonly #deps: QuorumDeps;
  readonly #id: ReplicaId;
  readonly #storage: QuorumStorage;
  readonly #room: DiskRoom;
  readonly #book: AddressBook;
  readonly #driver: RaftDriver;
  readonly #watch: RoleWatch;
  readonly #joining: Joining;
  readonly #peers: PeerWatch;
  readonly #ownEndpoint: OwnEndpoint;
  readonly #ticker: Ticker;
  readonly #voterChanges: VoterChanges;
  readonly #pending = new PendingProposals();
  readonly #waiters = new OffsetWaiters({ maxWaiting: MAX_WAITERS });
  readonly #failure = new Deferred<Error>();
  readonly #roleListeners: ((role: QuorumRole) => void)[] = [];
  readonly #appliedListeners: ((offset: number) => void)[] = [];
  #housekeptAtMs = Number.NEGATIVE_INFINITY;
  #foreignCount = 0;
  /** As of the last turn. */
  #leadingTerm = 0;
  #closing: Promise<void> | undefined;

  private constructor(options: QuorumOptions, deps: QuorumDeps, storage: QuorumStorage, room: DiskRoom) {
    const { platform, transport, stateMachine } = deps;
    const logger = componentLogger(deps.logger, "raft");
    const { identity } = storage;
    this.#options = options;
    this.#deps = deps;
    this.#storage = storage;
    this.#room = room;
    this.directoryId = identity.directoryId;
    this.failure = this.#failure.promise;
    this.#id = replicaIdOf(options.nodeId, identity.directoryId);
    this.#book = new AddressBook(options.foundingVoters);
    const { electionTicks, heartbeatTicks, sabotage } = options;
    this.#driver = new RaftDriver(
      {
        raw: { id: this.#id, electionTicks, heartbeatTicks, ...(sabotage === undefined ? {} : { sabotage }) },
        snapshotAfterBytes: options.snapshotAfterBytes ?? DEFAULT_SNAPSHOT_AFTER_BYTES,
        keepEntries: options.keepEntries ?? DEFAULT_KEEP_ENTRIES,
      },
      { platform, logger, storage, room, stateMachine, transport, addressOf: (id) => this.#book.find(id) },
      {
        onTurn: () => this.#onTurn(),
        onEntry: ({ index, term }) => this.#pending.applied(index, term, () => this.#notController()),
        onApplied: () => this.#onApplied(),
        onFailure: (error) => this.#onFailure(error),
      },
    );
    this.#watch = new RoleWatch({ id: this.#id, logger, book: this.#book, applier: this.#driver.applier });
    this.#voterChanges = new VoterChanges(
      { retryMs: options.tickMs },
      {
        clock: platform.clock,
        status: () => this.status,
        input: (input) => {
          if (this.#isStopped) throw closedError();
          return this.#driver.input(input);
        },
        committed: ({ index, term }) => this.#pending.add(index, term),
      },
    );
    const parts = {
      ...deps,
      storage,
      driver: this.#driver,
      book: this.#book,
      selfHello: () => this.selfHello(),
    };
    this.#joining = new Joining(options, parts);
    this.#peers = new PeerWatch({ ...parts, id: this.#id, answerMs: options.tickMs * electionTicks });
    this.#ownEndpoint = new OwnEndpoint(options, { id: this.#id, driver: this.#driver });
    this.#ticker = new Ticker(
      { tickMs: options.tickMs },
      { clock: platform.clock, onTick: () => this.#onTick() },
    );
  }

  /**
   * Opens and verifies what is on the disk, restores the newest snapshot and applies what is known as committed. Lost or
   * damaged state: see `openStorage`. @throws LograftError METADATA_CORRUPT, CONFIG_INVALID, DATA_DIR_LOCKED, DISK_*.
   */
  static async open(options: QuorumOptions, deps: QuorumDeps): Promise<QuorumNode> {
    assert(options.heartbeatTicks < options.electionTicks, "heartbeats come more often than elections");
    const { platform, logger } = deps;
    const { directory, reserveBytes = 0 } = options;
    checkReachable(options, deps);
    await platform.disk.makeDir(directory);
    const room = new DiskRoom(
      { directory, reserveBytes },
      { disk: platform.disk, clock: platform.clock, logger },
    );
    await room.prepare();
    const hasTransport = deps.transport !== undefined;
    const storage = await openStorage(options, { platform, logger, hasTransport });
    const node = new QuorumNode(options, deps, storage, room);
    try {
      await node.#driver.recover();
    } catch (error: unknown) {
      await node.close();
      throw error;
    }
    room.keep();
    return node;
  }

  /** Undefined until a cluster was founded or joined. */
  get clusterId(): string | undefined {
    return this.#joining.clusterId;
  }

  /** As it was last told to the listeners. */
  get role(): QuorumRole {
    return this.#watch.role;
  }

  get status(): RaftStatus {
    return this.#driver.status;
  }

  /** Of the next entry, if this node proposes it and is the leader. */
  get nextOffset(): number {
    return this.status.lastIndex + 1;
  }

  /** Of the last entry that the state machine has seen, the quorum's own included. */
  get appliedOffset(): number {
    return this.#driver.applier.index;
  }

  /** How long durable writes of the log took, in seconds; for metrics. */
  get writeDurations(): Histogram {
    return this.#driver.writeDurations;
  }

  /** Begins to take part: founds, joins, votes, ticks. */
  start(): void {
    this.#ticker.start();
    const { voters } = this.status;
    // Nobody else could win: an election timeout would be waited for in vain.
    if (voters.length === 1 && voters[0]?.id === this.#id) this.#driver.input((raw) => raw.campaign());
    this.#joining.start();
  }

  /** Called at the end of the turn in which the role changed. Must not throw. */
  onRole(listener: (role: QuorumRole) => void): void {
    this.#roleListeners.push(listener);
  }

  /** Called after each batch of entries (also the quorum's own) and each restored snapshot. Must not throw. */
  onApplied(listener: (offset: number) => void): void {
    this.#appliedListeners.push(listener);
  }

  /** One Raft message from the wire; it must not be written to afterwards. What is not for this replica is dropped. */
  receive(message: Buffer): void {
    // Before it belongs to a cluster a node has no part in anything: it would vote without knowing for what.
    if (this.clusterId === undefined || this.#isStopped) return;
    let decoded: RaftMessage;
    try {
      decoded = decodeMessage(message);
    } catch (error: unknown) {
      this.#noteForeign(errorMessage(error));
      return;
    }
    if (decoded.to !== this.#id) {
      this.#noteForeign(`it is for ${decoded.to}, this is ${this.#id}`);
      return;
    }
    if (decoded.type === "ObserveRequest") this.#book.learn(decoded.from, decoded.endpoint);
    this.#driver.input((raw) => raw.step(decoded));
  }

  /** Who this node is, as it tells those that it asks. */
  selfHello(): Hello {
    const { nodeId, endpoint, foundingVoters } = this.#options;
    const { voters, leader, term } = this.status;
    return {
      nodeId,
      directoryId: this.directoryId,
      endpoint,
      clusterId: this.clusterId,
      foundingVoters,
      voters: voters.flatMap(({ id }) => this.#book.describe(id) ?? []),
      leader: leader === undefined ? undefined : this.#book.describe(leader),
      epoch: term,
      wallClockMs: Math.max(0, Math.floor(this.#deps.platform.clock.wallMs())),
    };
  }

  /** The answer to another node's question; what it says of itself is taken in too. */
  hello(from: Hello): Hello {
    this.#book.learn(replicaIdOf(from.nodeId, from.directoryId), from.endpoint);
    this.#deps.transport?.heardFrom(from.nodeId);
    this.#joining.heardFrom(from);
    return this.selfHello();
  }

  /** The connection on which this node sent to us ended: if it leads, it is asked whether it is still there. */
  peerClosed(nodeId: NodeId): void {
    this.#peers.closed(nodeId);
  }

  /**
   * Appends an entry, if this node leads. `isUrgent`: what makes room on the disk may use the reserve.
   * @throws ProtocolError NOT_CONTROLLER; LograftError BUFFER_EXHAUSTED, DISK_FULL (both retriable), CLOSED.
   */
  propose(data: Buffer, options: { readonly isUrgent?: boolean } = {}): Proposal {
    if (this.#isStopped) throw closedError();
    if (this.status.role !== "leader") throw this.#notController();
    const { maxPending = DEFAULT_MAX_PENDING } = this.#options;
    if (this.#pending.size >= maxPending) throw busyError(this.#pending.size);
    const refusal = this.#room.refusal(data.byteLength, options.isUrgent === true);
    if (refusal !== undefined) throw refusal;
    const outcome = this.#driver.input((raw) => raw.propose(data));
    if (outcome === "BUSY") throw busyError(this.#pending.size);
    if (typeof outcome === "string") throw this.#notController();
    const { index, term } = outcome;
    return { offset: index, epoch: term, committed: this.#pending.add(index, term) };
  }

  /**
   * Looks at the disk now. For those who decide what to propose: between this and `propose` nothing may be awaited.
   * @throws LograftError DISK_FULL.
   */
  async ensureRoom(): Promise<void> {
    await this.#room.look();
    const refusal = this.#room.refusal(0, false);
    if (refusal !== undefined) throw refusal;
  }

  /**
   * A linearizable read point (ReadIndex, dissertation §6.4): everything that was committed before the call is applied
   * here when it resolves. @throws ProtocolError NOT_CONTROLLER; the reason of `signal`.
   */
  async readBarrier(signal: AbortSignal): Promise<number> {
    throwIfAborted(signal);
    if (this.#isStopped) throw closedError();
    const index = await abortable(this.#driver.readIndex(), signal);
    if (index === undefined) throw this.#notController();
    await this.waitApplied(index, signal);
    return index;
  }

  /** @throws the reason of `signal`; LograftError BUFFER_EXHAUSTED, CLOSED. */
  async waitApplied(offset: number, signal: AbortSignal): Promise<void> {
    if (this.appliedOffset < offset) await this.#waiters.wait(offset, signal);
  }

  /**
   * Makes a node a voter or takes its vote; resolves when that is committed. Adding a node whose old directory is still a
   * voter removes that one first. @throws as `VoterChanges.change`.
   */
  async changeVoters(change: VoterChange, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (this.#isStopped) throw closedError();
    if (this.status.role !== "leader") throw this.#notController();
    await abortable(this.#voterChanges.change(change, signal), signal);
  }

  /** Hands the leadership over, to the voter that is furthest by default. False: it did not come to that. */
  async transferLeadership(to: NodeId | undefined, signal: AbortSignal): Promise<boolean> {
    const { progress, role, term } = this.status;
    if (this.#isStopped) throw closedError();
    if (role !== "leader") throw this.#notController();
    const candidates = progress.filter(({ id, isVoter, isActive }) => {
      if (!isVoter || id === this.#id) return false;
      return to === undefined ? isActive : parseReplicaId(id)?.nodeId === to;
    });
    const [best] = candidates.toSorted((a, b) => b.matchIndex - a.matchIndex);
    if (best === undefined || !this.#driver.input((raw) => raw.transferLeadership(best.id))) return false;
    for (;;) {
      await this.#deps.platform.clock.sleep(this.#options.tickMs, signal);
      if (this.#isStopped) throw closedError();
      const now = this.status;
      if (now.role !== "leader" || now.term !== term) return true;
      if (now.transferTarget === undefined) return false;
    }
  }

  /** Finishes the write in progress. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  get #isStopped(): boolean {
    return this.#closing !== undefined || this.#driver.isStopped;
  }

  async #close(): Promise<void> {
    this.#ticker.stop();
    this.#rejectWaiting(closedError());
    await this.#joining.close();
    await this.#peers.close();
    await this.#driver.close();
    await this.#room.close();
    await this.#storage.store.close();
  }

  #onTick(): void {
    if (this.#driver.isStopped) return;
    const nowMs = this.#deps.platform.clock.monotonicMs();
    if (nowMs - this.#housekeptAtMs >= HOUSEKEEPING_MS || this.#room.isShort) this.#keepHouse(nowMs);
    // A founder that is writing the first entry has no log yet that time could run for.
    if (this.clusterId === undefined) return;
    this.#driver.input((raw) => raw.tick());
    this.#ownEndpoint.tick();
  }

  #keepHouse(nowMs: number): void {
    this.#housekeptAtMs = nowMs;
    this.#room.lookLater();
    if (this.#foreignCount > 0)
      this.#deps.logger.warn(`${FOREIGN}, and others like it`, { count: this.#foreignCount });
    this.#foreignCount = 0;
  }

  #noteForeign(cause: string): void {
    if (this.#foreignCount === 0) this.#deps.logger.warn(FOREIGN, { cause });
    this.#foreignCount++;
  }

  #onTurn(): void {
    const { status } = this;
    if (status.role !== "leader" || status.term !== this.#leadingTerm) {
      this.#pending.rejectAll(() => this.#notController(true));
    }
    this.#leadingTerm = status.term;
    this.#peers.update(status);
    if (this.#watch.update(status, this.#driver.isStopped)) this.#tellRole();
  }

  #onApplied(): void {
    const offset = this.appliedOffset;
    this.#waiters.reached(offset);
    for (const listener of this.#appliedListeners) listener(offset);
  }

  #onFailure(error: Error): void {
    this.#deps.logger.error("this node of the metadata quorum stops", { err: error });
    this.#ticker.stop();
    this.#rejectWaiting(error);
    if (this.#watch.update(this.status, true)) this.#tellRole();
    this.#failure.resolve(error);
  }

  #tellRole(): void {
    for (const listener of this.#roleListeners) listener(this.role);
  }

  #rejectWaiting(reason: Error): void {
    this.#pending.rejectAll(() => reason);
    this.#waiters.rejectAll(reason);
  }

  #notController(isIndefinite = false): Error {
    return notControllerError(this.status.leader, isIndefinite);
  }
}

/** Others are named, so there must be a way to them. */
function checkReachable({ nodeId, foundingVoters, bootstrapServers }: QuorumOptions, deps: QuorumDeps): void {
  const others = foundingVoters.filter((voter) => voter.nodeId !== nodeId);
  if (deps.transport !== undefined || others.length + bootstrapServers.length === 0) return;
  throw operationError(
    "CONFIG_INVALID",
    "other nodes of the quorum are configured, but this node has no listener for peers; add a PEER listener",
    { context: { foundingVoters, bootstrapServers } },
  );
}

function busyError(waiting: number): LograftError {
  return operationError("BUFFER_EXHAUSTED", `${waiting} metadata changes wait already; try again later`, {
    context: { waiting },
    retriable: true,
  });
}
