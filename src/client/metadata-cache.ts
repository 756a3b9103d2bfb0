import { abortable, deadlineSignal } from "../base/abort.ts";
import { Backoff, type BackoffOptions } from "../base/backoff.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage, type LograftError, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { errorNameOf, isRetriable, ProtocolError, type ErrorName } from "../model/error-code.ts";
import { shownTopic } from "../model/topic-partition.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { MetadataResponse, TopicMetadata } from "../rpc/messages.ts";
import { isLograftError } from "./errors.ts";
import type { ClientTransport } from "./transport.ts";

/** Who leads a partition, as far as the client knows. */
export interface PartitionInfo {
  readonly partition: number;
  /** -1: nobody at the moment. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

/** A topic as the client knows it; replaced, never changed. */
export interface TopicInfo {
  readonly name: string;
  /** URL-safe base64 of 16 bytes. */
  readonly topicId: string;
  readonly isInternal: boolean;
  /** The index is the partition. */
  readonly partitions: readonly PartitionInfo[];
  /** Largest batch that the topic takes. */
  readonly maxMessageBytes: number;
}

export interface MetadataCacheOptions {
  /** "host:port"; asked while no broker is known, and when none of the known ones answers. */
  readonly bootstrap: readonly string[];
  /** Age at which what is in use is asked for again. */
  readonly maxAgeMs: number;
  readonly requestTimeoutMs: number;
  readonly retry: BackoffOptions;
}

export interface MetadataCacheDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly transport: ClientTransport;
}

/** Bounds of waiting for a topic. */
export interface WaitForTopicOptions {
  readonly timeoutMs: number;
  readonly allowAutoCreate: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** An unanswered address must not keep a flight from trying the next one. */
const ATTEMPT_TIMEOUT_MS = 2000;
/** A topic that brokers do not know for so long does not exist: news of a new one spreads within that. */
const UNKNOWN_TOPIC_PATIENCE_MS = 3000;
/** Topics in use by one client. */
const MAX_TOPICS = 100_000;

interface TrackedTopic {
  info: TopicInfo | undefined;
  error: ErrorName;
  errorMessage: string;
  allowAutoCreate: boolean;
  lastUsedMs: number;
}

/**
 * What the cluster looks like: brokers, and the leaders of the topics in use. One request at a time, to any broker that
 * answers; again by age and whenever an error says that the picture is old. News from a broker that is itself behind is
 * recognised by its leader epoch and ignored (KIP-320).
 */
export class MetadataCache {
  readonly #options: MetadataCacheOptions;
  readonly #deps: MetadataCacheDeps;
  readonly #backoff: Backoff;
  readonly #topics = new Map<string, TrackedTopic>();
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #addresses = new Map<number, string>();
  #racks = new Map<number, string>();
  /** Whose answer the present picture is. */
  #answeredBy: string | undefined;
  #clusterId = "";
  #isInFlight = false;
  #isAgainWanted = false;
  #flightEnd = new Deferred<void>();
  #notBeforeMs = 0;
  #timer: Timer | undefined;
  #ageTimer: Timer | undefined;
  #lastError: LograftError | undefined;

  constructor(options: MetadataCacheOptions, deps: MetadataCacheDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff(options.retry, deps);
  }

  /** What is known of the topic, without asking. Keeps a known topic in use. */
  topic(name: string): TopicInfo | undefined {
    const tracked = this.#topics.get(name);
    if (tracked === undefined) return undefined;
    tracked.lastUsedMs = this.#deps.clock.monotonicMs();
    return tracked.info;
  }

  /** The last answer about the topic, "NONE" when it was good or nothing was asked. */
  topicError(name: string): ErrorName {
    return this.#topics.get(name)?.error ?? "NONE";
  }

  /**
   * Takes what a broker says beside its answer (KIP-951): who leads, in a later leader epoch than was known. Listeners are
   * not called: it is about the caller's partition alone.
   */
  learnLeader(
    { topic, partition }: { readonly topic: string; readonly partition: number },
    { leaderId, leaderEpoch }: { readonly leaderId: number; readonly leaderEpoch: number },
  ): void {
    const tracked = this.#topics.get(topic);
    const known = tracked?.info?.partitions[partition];
    if (tracked?.info === undefined || known === undefined) return;
    if (leaderEpoch <= known.leaderEpoch || !this.#addresses.has(leaderId)) return;
    const partitions = tracked.info.partitions.with(partition, { ...known, leaderId, leaderEpoch });
    tracked.info = { ...tracked.info, partitions };
  }

  /** "host:port" of a broker. */
  addressOf(nodeId: number): string | undefined {
    return this.#addresses.get(nodeId);
  }

  /** Where a broker is; undefined or empty: not known. */
  rackOf(nodeId: number): string | undefined {
    return this.#racks.get(nodeId);
  }

  /** Addresses worth asking, in a random order that spreads the clients: known brokers, then the bootstrap list. */
  candidates(): string[] {
    const known = shuffled([...this.#addresses.values()], this.#deps.random);
    const rest = this.#options.bootstrap.filter((address) => !known.includes(address));
    return [...known, ...shuffled(rest, this.#deps.random)];
  }

  /** Called after each answer. Answers the function that removes the listener. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Asks soon, not waiting for the age; calls join the request under way or the one that is due. */
  requestUpdate(): void {
    if (this.#closing.signal.aborted || this.#topics.size === 0) return;
    if (this.#isInFlight) {
      this.#isAgainWanted = true;
      return;
    }
    if (this.#timer !== undefined) return;
    const waitMs = Math.max(0, this.#notBeforeMs - this.#deps.clock.monotonicMs());
    this.#timer = this.#deps.clock.setTimer(waitMs, () => {
      this.#timer = undefined;
      void this.#fly(); // Never rejects: failures are kept for those who wait.
    });
  }

  /**
   * The topic, asking until it is known. @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION when brokers have not known it
   * for three seconds, or the broker's refusal; LograftError TIMEOUT, CLOSED, the reason of `signal`.
   */
  async waitForTopic(name: string, options: WaitForTopicOptions): Promise<TopicInfo> {
    const startedMs = this.#deps.clock.monotonicMs();
    const tracked = this.#track(name, options.allowAutoCreate);
    using deadline = deadlineSignal(this.#deps.clock, options.timeoutMs, options.signal);
    for (;;) {
      if (this.#closing.signal.aborted) throw closedError();
      if (tracked.info !== undefined) return tracked.info;
      const patienceMs = this.#deps.clock.monotonicMs() - startedMs;
      const { error } = tracked;
      const isPatient = error !== "UNKNOWN_TOPIC_OR_PARTITION" || patienceMs < UNKNOWN_TOPIC_PATIENCE_MS;
      if (error !== "NONE" && (!isRetriable(error) || !isPatient)) throw topicError(name, tracked);
      tracked.lastUsedMs = this.#deps.clock.monotonicMs();
      const flightEnd = this.#flightEnd.promise;
      this.requestUpdate();
      try {
        await abortable(flightEnd, deadline.signal);
      } catch (cause: unknown) {
        if (options.signal?.aborted === true || this.#closing.signal.aborted) throw cause;
        throw this.#timeoutError(`metadata of topic ${name}`, options.timeoutMs, cause);
      }
    }
  }

  /** Waits for one answer that was asked for after this call. @throws LograftError TIMEOUT, CLOSED. */
  async refresh(options: {
    readonly timeoutMs: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<void> {
    using deadline = deadlineSignal(this.#deps.clock, options.timeoutMs, options.signal);
    if (this.#isInFlight) await abortable(this.#flightEnd.promise, deadline.signal);
    const flightEnd = this.#flightEnd.promise;
    this.requestUpdate();
    await abortable(flightEnd, deadline.signal);
  }

  /** Ends the timers and those who wait. Idempotent. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(closedError());
    this.#timer?.cancel();
    this.#ageTimer?.cancel();
    this.#listeners.clear();
    this.#flightEnd.resolve();
  }

  #track(name: string, allowAutoCreate: boolean): TrackedTopic {
    const known = this.#topics.get(name);
    if (known !== undefined) {
      known.allowAutoCreate ||= allowAutoCreate;
      return known;
    }
    if (this.#topics.size >= MAX_TOPICS) {
      throw operationError(
        "INVALID_ARGUMENT",
        `one client uses at most ${MAX_TOPICS} topics; use another client`,
      );
    }
    const tracked: TrackedTopic = {
      info: undefined,
      error: "NONE",
      errorMessage: "",
      allowAutoCreate,
      lastUsedMs: this.#deps.clock.monotonicMs(),
    };
    this.#topics.set(name, tracked);
    return tracked;
  }

  async #fly(): Promise<void> {
    this.#isInFlight = true;
    this.#isAgainWanted = false;
    this.#ageTimer?.cancel();
    try {
      await this.#ask();
      this.#lastError = undefined;
      this.#backoff.reset();
    } catch (error: unknown) {
      this.#lastError = asLograftError(error);
      this.#deps.logger.warn("metadata could not be had", { err: error });
    }
    this.#isInFlight = false;
    if (this.#closing.signal.aborted) return;
    this.#notBeforeMs = this.#deps.clock.monotonicMs() + this.#backoff.nextMs();
    const ended = this.#flightEnd;
    this.#flightEnd = new Deferred();
    ended.resolve();
    for (const listener of this.#listeners) listener();
    if (this.#isAgainWanted) this.requestUpdate();
    else this.#ageTimer = this.#deps.clock.setTimer(this.#options.maxAgeMs, () => this.#refreshByAge());
  }

  #refreshByAge(): void {
    const unusedBeforeMs = this.#deps.clock.monotonicMs() - 2 * this.#options.maxAgeMs;
    for (const [name, tracked] of this.#topics) {
      if (tracked.lastUsedMs < unusedBeforeMs) this.#topics.delete(name);
    }
    this.requestUpdate();
  }

  async #ask(): Promise<void> {
    // Topics that may be created are asked for alone, so that asking never creates what another part only reads; and in
    // the same flight as the others, which must not wait until somebody else's topic exists.
    const missing: string[] = [];
    const others: string[] = [];
    for (const [name, { info, allowAutoCreate }] of this.#topics) {
      (info === undefined && allowAutoCreate ? missing : others).push(name);
    }
    const addresses = this.#candidatesInTurn();
    if (missing.length > 0) await this.#askFor(addresses, missing, true);
    if (others.length > 0) await this.#askFor(addresses, others, false);
  }

  /**
   * The one that answered last comes last. A broker that was cut off from the others names the leaders of before, in an
   * epoch that the client knows already, so nothing shows that it is behind but the refusal of the leader it names, which
   * may be itself (H31). With another one asked each time its answers hold a client for two questions at most, and no
   * broker has to know how old its own picture is.
   */
  #candidatesInTurn(): readonly string[] {
    const addresses = this.candidates();
    const at = this.#answeredBy === undefined ? -1 : addresses.indexOf(this.#answeredBy);
    if (at >= 0) addresses.push(...addresses.splice(at, 1));
    return addresses;
  }

  async #askFor(
    addresses: readonly string[],
    topics: readonly string[],
    allowAutoCreate: boolean,
  ): Promise<void> {
    const request = { topics, allTopics: false, allowAutoCreate };
    let failure: unknown;
    for (const address of addresses) {
      try {
        const response = await this.#deps.transport.call(address, "Metadata", request, {
          timeoutMs: Math.min(this.#options.requestTimeoutMs, ATTEMPT_TIMEOUT_MS),
          signal: this.#closing.signal,
        });
        this.#apply(response);
        this.#answeredBy = address;
        return;
      } catch (error: unknown) {
        if (this.#closing.signal.aborted) throw error;
        this.#deps.logger.debug("a broker did not answer for metadata", {
          address,
          err: error,
        });
        failure = error;
      }
    }
    throw asLograftError(failure);
  }

  #apply(response: MetadataResponse): void {
    if (this.#clusterId !== "" && response.clusterId !== "" && response.clusterId !== this.#clusterId) {
      throw new ProtocolError(
        "INCONSISTENT_CLUSTER_ID",
        `a broker belongs to cluster ${response.clusterId}, this client to ${this.#clusterId}; check the addresses`,
      );
    }
    this.#clusterId = response.clusterId;
    if (response.brokers.length > 0) {
      this.#addresses = new Map(
        response.brokers.map(({ nodeId, host, port }) => [
          nodeId,
          host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
        ]),
      );
      this.#racks = new Map(response.brokers.map(({ nodeId, rack }) => [nodeId, rack]));
    }
    for (const topic of response.topics) {
      const tracked = this.#topics.get(topic.name);
      if (tracked !== undefined) applyTopic(tracked, topic);
    }
  }

  #timeoutError(what: string, timeoutMs: number, cause: unknown): LograftError {
    const last = this.#lastError;
    return operationError(
      "TIMEOUT",
      `${what}: nothing within ${timeoutMs} ms${last ? `; last: ${last.message}` : ""}`,
      {
        cause: last ?? cause,
        retriable: true,
      },
    );
  }
}

function applyTopic(tracked: TrackedTopic, topic: TopicMetadata): void {
  tracked.error = errorNameOf(topic.errorCode);
  tracked.errorMessage = topic.errorMessage;
  if (tracked.error === "UNKNOWN_TOPIC_OR_PARTITION") tracked.info = undefined;
  if (tracked.error !== "NONE") return;
  const topicId = topic.topicId.toString("base64url");
  const before = tracked.info?.topicId === topicId ? tracked.info : undefined;
  const partitions: PartitionInfo[] = [...(before?.partitions ?? [])];
  for (const { partition, leaderId, leaderEpoch, replicas, isr } of topic.partitions) {
    const known = before?.partitions[partition];
    if (known !== undefined && leaderEpoch < known.leaderEpoch) continue;
    partitions[partition] = { partition, leaderId, leaderEpoch, replicas, isr };
  }
  // A hole would be a partition that this broker has not heard of: the picture is taken when it is whole.
  for (let index = 0; index < partitions.length; index++) if (!(index in partitions)) return;
  if (partitions.length === 0) return;
  tracked.info = {
    name: topic.name,
    topicId,
    isInternal: topic.isInternal,
    partitions,
    maxMessageBytes: topic.maxMessageBytes,
  };
}

function topicError(name: string, tracked: TrackedTopic): ProtocolError {
  const text = tracked.errorMessage === "" ? tracked.error : tracked.errorMessage;
  return new ProtocolError(tracked.error, `topic ${shownTopic(name)}: ${text}`, { context: { topic: name } });
}

function closedError(): LograftError {
  return operationError("CLOSED", "the client is closed");
}

function asLograftError(error: unknown): LograftError {
  if (isLograftError(error)) return error;
  return operationError("CONNECTION_FAILED", errorMessage(error), { cause: error, retriable: true });
}

/** Fisher and Yates. */
function shuffled<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
  return items;
}
