import { operationError } from "../base/errors.ts";
import { randomClusterId, UUID_BYTES } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import type { VoterSet } from "../raft/types.ts";
import { encodeVoters } from "../raft/voter-set.ts";
import type { AddressBook } from "./address-book.ts";
import { Discovery } from "./discovery.ts";
import { foundingStep, leaderToObserve } from "./founding.ts";
import type { HelloAnswer } from "./founding.ts";
import { closedError, wrapped } from "./quorum-error.ts";
import type { QuorumStorage } from "./quorum-storage.ts";
import type { QuorumDeps, QuorumOptions } from "./quorum-types.ts";
import type { RaftDriver } from "./raft-driver.ts";
import type { Hello } from "./raft-transport.ts";
import { parseReplicaId, replicaIdOf } from "./replica-id.ts";

/** Rounds in which the other founders are told; who was not there then finds out by asking. */
const ANNOUNCE_ROUNDS = 5;
/** Nodes whose last word is remembered. */
const MAX_HEARD = 1024;

interface JoiningDeps extends QuorumDeps {
  readonly storage: QuorumStorage;
  readonly driver: RaftDriver;
  readonly book: AddressBook;
  readonly selfHello: () => Hello;
}

/** How a node comes into a cluster: founds it with others or alone, joins it, finds its leader again. */
export class Joining {
  readonly #options: QuorumOptions;
  readonly #deps: JoiningDeps;
  readonly #discovery: Discovery | undefined;
  #clusterId: string | undefined;
  /** The cluster is remembered beside the data too. */
  #isRemembered: boolean;
  #missing = "";
  readonly #stopping = new AbortController();
  /** What each node said last. */
  readonly #heard = new Map<NodeId, string>();
  #beginning: Promise<void> | undefined;
  /** The cluster that another founder told of is being joined. */
  #adopting: Promise<void> | undefined;
  /** Hellos in both directions may bring the same news at once: it is written once, for two writers of a file collide. */
  #joining: Promise<void> | undefined;
  #remembering: Promise<void> | undefined;

  constructor(options: QuorumOptions, deps: JoiningDeps) {
    const { platform, logger, transport, selfHello } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#clusterId = deps.storage.identity.clusterId;
    this.#isRemembered = options.clusterId !== undefined;
    const electionMs = options.electionTicks * options.tickMs;
    const discoveryDeps = {
      clock: platform.clock,
      random: platform.random,
      logger,
      selfHello,
      isNeeded: () => this.#isNeeded,
      endpoints: () => this.#endpoints,
      onAnswers: (answers: readonly HelloAnswer[]) => this.#guarded(() => this.#onAnswers(answers)),
    };
    this.#discovery =
      transport === undefined
        ? undefined
        : new Discovery(
            { initialMs: options.tickMs, maxMs: Math.max(options.tickMs, electionMs), timeoutMs: electionMs },
            { ...discoveryDeps, transport },
          );
  }

  /** Undefined until a cluster was founded or joined, durably. */
  get clusterId(): string | undefined {
    return this.#clusterId;
  }

  start(): void {
    this.#beginning ??= this.#guarded(() => this.#begin());
  }

  /** Another node told who it is: perhaps what this one waits for. */
  heardFrom(from: Hello): void {
    if (!this.#isNeeded) return;
    const { clusterId } = from;
    const { configuredClusterId } = this.#options;
    const isVoter = from.voters.some(
      ({ directoryId }) => directoryId === this.#deps.storage.identity.directoryId,
    );
    const isMine = configuredClusterId === undefined || configuredClusterId === clusterId;
    if (this.#clusterId === undefined && clusterId !== undefined && isVoter && isMine) {
      this.#adopting ??= this.#guarded(() => this.#join(clusterId));
      return;
    }
    // Only what is new: two who wait would otherwise wake each other without end.
    const said = [from.directoryId, clusterId, from.leader?.directoryId, from.epoch].join();
    if (this.#heard.get(from.nodeId) === said) return;
    if (this.#heard.size >= MAX_HEARD) this.#heard.clear();
    this.#heard.set(from.nodeId, said);
    this.#discovery?.wake();
  }

  /** Ends the questions in progress, finishes what is being written. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort(closedError());
    await this.#discovery?.close();
    await this.#beginning;
    await this.#adopting;
  }

  async #begin(): Promise<void> {
    if (this.#clusterId === undefined && this.#isAlone) {
      const { nodeId, endpoint } = this.#options;
      await this.#found([{ id: replicaIdOf(nodeId, this.#deps.storage.identity.directoryId), endpoint }]);
    } else if (this.#clusterId !== undefined) {
      await this.#remember(this.#clusterId);
    }
    if (!this.#isClosed) this.#discovery?.start();
  }

  get #isClosed(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** There is nobody to ask, so there is nobody to wait for. */
  get #isAlone(): boolean {
    const { nodeId, foundingVoters, bootstrapServers } = this.#options;
    return bootstrapServers.length === 0 && foundingVoters.every((voter) => voter.nodeId === nodeId);
  }

  get #isNeeded(): boolean {
    const { driver, book } = this.#deps;
    if (driver.isStopped) return false;
    if (this.#clusterId === undefined || !this.#isRemembered) return true;
    const { leader } = driver.status;
    // A leader that became a voter behind the end of this log is heard and cannot be answered until somebody tells where it is.
    return leader === undefined || book.find(leader) === undefined;
  }

  /** Whoever may know: configured, remembered, in the log. */
  get #endpoints(): readonly string[] {
    const { nodeId, endpoint, foundingVoters, bootstrapServers } = this.#options;
    const { storage, driver, book } = this.#deps;
    const founders = foundingVoters.filter((voter) => voter.nodeId !== nodeId).map((voter) => voter.endpoint);
    const voters = [...driver.status.voters, ...storage.knownVoters].flatMap((voter) => {
      if (parseReplicaId(voter.id)?.nodeId === nodeId) return [];
      return book.find(voter.id)?.endpoint ?? voter.endpoint;
    });
    const all = new Set([...founders, ...bootstrapServers, ...voters]);
    all.delete(endpoint);
    all.delete("");
    return [...all];
  }

  /** A failure of the disk in here is the node's. */
  async #guarded(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error: unknown) {
      if (!this.#isClosed) this.#deps.driver.fail(wrapped("the cluster could not be joined", error));
    }
  }

  async #onAnswers(answers: readonly HelloAnswer[]): Promise<void> {
    const { book } = this.#deps;
    for (const { hello, endpoint } of answers) {
      if (hello === undefined) continue;
      book.learn(replicaIdOf(hello.nodeId, hello.directoryId), endpoint);
      const { leader } = hello;
      if (leader !== undefined) book.learn(replicaIdOf(leader.nodeId, leader.directoryId), leader.endpoint);
    }
    if (this.#clusterId === undefined) await this.#onFoundingAnswers(answers);
    else await this.#remember(this.#clusterId);
    if (this.#clusterId === undefined) return;
    this.#observe(this.#clusterId, answers);
    this.#standWithoutWaiting(answers);
  }

  /**
   * A majority of the voters is here and none of them has a leader: all have started again, or an election had no winner.
   * Nothing is gained by waiting for the timeout; PreVote keeps a mistake harmless.
   */
  #standWithoutWaiting(answers: readonly HelloAnswer[]): void {
    const { driver, storage } = this.#deps;
    const { voters, leader, role } = driver.status;
    const directories = new Set(voters.map(({ id }) => parseReplicaId(id)?.directoryId));
    if (leader !== undefined || role !== "follower" || !directories.has(storage.identity.directoryId)) return;
    const leaderless = answers.filter(
      ({ hello }) => hello?.leader === undefined && directories.has(hello?.directoryId),
    );
    if (2 * (leaderless.length + 1) > voters.length) driver.input((raw) => raw.campaign());
  }

  async #onFoundingAnswers(answers: readonly HelloAnswer[]): Promise<void> {
    const { driver, selfHello } = this.#deps;
    const step = foundingStep(selfHello(), this.#options.configuredClusterId, answers);
    switch (step.type) {
      case "wait":
        this.#logMissing(step.missing);
        return;
      case "found":
        await this.#found(step.voters);
        return;
      case "join":
        await this.#join(step.clusterId);
        return;
      case "refuse":
        driver.fail(
          operationError("CONFIG_INVALID", `the metadata quorum cannot be founded or joined: ${step.reason}`),
        );
    }
  }

  /** Entry 1 says who votes; it is never taken back, for only this node may write it. */
  async #found(voters: VoterSet): Promise<void> {
    const { driver, logger, platform, storage } = this.#deps;
    const clusterId = this.#options.configuredClusterId ?? randomClusterId(platform.random.bytes(UUID_BYTES));
    const entry = { index: 1, term: 1, kind: "voters" as const, data: encodeVoters(voters) };
    await driver.found({ clusterId, entry });
    this.#clusterId = clusterId;
    logger.info("cluster founded", { clusterId, voters: voters.map(({ id }) => id) });
    await storage.mirror.write(() => {
      return { identity: storage.store.identity, term: 1, index: 1, indexTerm: 1, voters };
    });
    await this.#remember(clusterId);
    await this.#announce(clusterId, voters.length - 1);
    if (!driver.isStopped) driver.input((raw) => raw.campaign());
  }

  /** The other founders have a vote when they know the cluster, so they are told before they are asked for it. */
  async #announce(clusterId: string, count: number): Promise<void> {
    for (let round = 0; round < ANNOUNCE_ROUNDS && count > 0; round++) {
      const answers = (await this.#discovery?.ask()) ?? [];
      if (answers.filter(({ hello }) => hello?.clusterId === clusterId).length >= count) return;
      await this.#deps.platform.clock.sleep(this.#options.tickMs, this.#stopping.signal);
    }
  }

  #join(clusterId: string): Promise<void> {
    return (this.#joining ??= this.#writeJoined(clusterId));
  }

  async #writeJoined(clusterId: string): Promise<void> {
    const { storage, logger, driver } = this.#deps;
    await storage.store.joinCluster(clusterId);
    this.#clusterId = clusterId;
    logger.info("cluster joined", { clusterId });
    await driver.mirror();
    await this.#remember(clusterId);
  }

  async #remember(clusterId: string): Promise<void> {
    if (this.#isRemembered) return;
    await (this.#remembering ??= this.#deps.joinCluster(clusterId));
    this.#isRemembered = true;
  }

  /** Asks the leader for the log, if it would not send it by itself. */
  #observe(clusterId: string, answers: readonly HelloAnswer[]): void {
    const { driver, book, selfHello } = this.#deps;
    const leader = leaderToObserve(selfHello(), clusterId, answers);
    if (leader === undefined || driver.isStopped) return;
    const id = replicaIdOf(leader.nodeId, leader.directoryId);
    book.learn(id, leader.endpoint);
    driver.input((raw) => raw.observe(id, this.#options.endpoint));
  }

  #logMissing(missing: readonly string[]): void {
    const text = missing.join(", ");
    if (text !== this.#missing && text !== "") {
      this.#deps.logger.info("waiting for the other founding voters", { missing });
    }
    this.#missing = text;
  }
}
