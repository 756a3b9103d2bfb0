import { assertNever } from "../base/assert.ts";
import { LograftError, operationError } from "../base/errors.ts";
import type { LogFields, Logger } from "../base/logger.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { isRetriable } from "../model/error-code.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock } from "../platform/clock.ts";
import type { PartitionEffects } from "./affected-partitions.ts";
import {
  decideBrokerStates,
  decideControlledShutdown,
  epochRefusal,
  isToStepAside,
} from "./broker-states.ts";
import type { BrokerStateChange } from "./broker-states.ts";
import { decideRegister } from "./brokers.ts";
import type { Decided, DecisionLog } from "./decision-log.ts";
import { Liveness } from "./liveness.ts";
import type { LivenessOptions, Probe } from "./liveness.ts";
import type { PartitionRules } from "./partition-rules.ts";
import type { ItemOutcome } from "./result.ts";
import { decodeBrokerFrame } from "./session-frames.ts";
import type {
  BrokerFrame,
  HeartbeatFrame,
  OffsetHash,
  RefusedFrame,
  RegisterFrame,
} from "./session-frames.ts";
import { SessionStream } from "./session-stream.ts";
import type { SessionInput, SessionPeer } from "./session-stream.ts";
import type { Session } from "./sessions.ts";
import { StateHashes } from "./state-hashes.ts";
import { reportUncleanElections } from "./unclean-report.ts";

export interface BrokerSessionsOptions extends LivenessOptions {
  readonly rules: PartitionRules;
  /** Streams at a time; beyond it the oldest one on which nobody registered ends, or else the new one. */
  readonly maxStreams: number;
}

export interface BrokerSessionsDeps {
  readonly decisions: DecisionLog;
  /** What is committed: the only thing that brokers are told. */
  readonly committed: MetadataImage;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: Probe;
  /** Whom a broker should ask instead, as far as this node knows. */
  readonly leader: () => PeerAddress | undefined;
  /** The own hash that brokers' hashes are compared with, once there is one. */
  readonly checkpoint: () => OffsetHash | undefined;
}

/** The log takes nothing now, and will later. */
const BUSY: ReadonlySet<string> = new Set(["BUFFER_EXHAUSTED", "DISK_FULL"]);

const STEPS_ASIDE =
  "a broker whose disk is full steps aside: others lead what they can, and nobody waits for it; free space on its disk";
const HAS_ROOM = "a broker whose disk was full has room again: it may lead, and comes back into ISRs";

/**
 * The controller's side of all heartbeat streams: registers brokers, lets them take part once they have the metadata,
 * fences them when they are silent, sick or gone, and moves their leaderships when they want to stop or have no room on
 * their disks. What a broker is told is committed.
 */
export class BrokerSessions {
  readonly #options: BrokerSessionsOptions;
  readonly #deps: BrokerSessionsDeps;
  readonly #liveness: Liveness;
  /** By id, the oldest first. */
  readonly #streams = new Map<number, SessionStream>();
  #hashes = new StateHashes();
  #lastStreamId = 0;
  /** By broker, the metadata offset at which this controller fenced it. */
  readonly #fencedAt = new Map<NodeId, number>();
  /** All that controllers before this one did is up to here. */
  #startOffset = 0;

  constructor(options: BrokerSessionsOptions, deps: BrokerSessionsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#liveness = new Liveness(options, {
      clock: deps.clock,
      logger: deps.logger,
      probe: deps.probe,
      image: () => deps.decisions.image,
      fence: (dead) => this.#fenceDead(dead),
      onEnded: ({ streamId }) => this.#closeStream(streamId),
    });
  }

  /** The controller is active, `decisions` has started. */
  start(): void {
    this.#hashes = new StateHashes();
    this.#fencedAt.clear();
    this.#startOffset = this.#deps.decisions.offset;
    this.#liveness.start();
  }

  /** Sends every broker elsewhere and forgets all sessions. Idempotent. */
  stop(): void {
    this.#liveness.stop();
    for (const stream of this.#streams.values()) this.#redirect(stream);
    this.#streams.clear();
  }

  /** A broker opened a stream; on a controller that is not active it ends at once. */
  accept(peer: SessionPeer): SessionInput {
    const stream = new SessionStream(++this.#lastStreamId, peer);
    if (!this.#deps.decisions.isStarted) this.#redirect(stream);
    else if (this.#makeRoom()) this.#streams.set(stream.id, stream);
    else stream.refuse(tooManyStreams(this.#options.maxStreams));
    return {
      onFrame: (bytes) => this.#onFrame(stream, bytes),
      onEnd: () => {
        stream.markEnded();
        this.#leave(stream);
      },
    };
  }

  #onFrame(stream: SessionStream, bytes: Buffer): void {
    if (stream.isClosed) return;
    try {
      this.#handle(stream, decodeBrokerFrame(bytes));
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      this.#refuse(stream, String(error.code), error.message);
    }
  }

  #handle(stream: SessionStream, frame: BrokerFrame): void {
    switch (frame.type) {
      case "register":
        this.#onRegister(stream, frame);
        return;
      case "heartbeat":
        this.#onHeartbeatOrBusy(stream, frame);
        return;
      default:
        assertNever(frame);
    }
  }

  #onRegister(stream: SessionStream, frame: RegisterFrame): void {
    const { type: _, previousBrokerEpoch, wasCleanShutdown, ...broker } = frame;
    const { nodeId, incarnationId } = frame;
    if (stream.owner !== undefined && stream.owner !== nodeId) {
      throw operationError("INVALID_ARGUMENT", `broker ${stream.owner} named itself ${nodeId} on one stream`);
    }
    const before = this.#liveness.session(nodeId);
    const knownEpoch = this.#deps.decisions.image.broker(nodeId)?.brokerEpoch;
    const decided = this.#deps.decisions.decide((image, brokerEpoch) =>
      decideRegister(
        image,
        { broker, previousBrokerEpoch, wasCleanShutdown, brokerEpoch, hasLiveSession: before !== undefined },
        this.#options.rules,
      ),
    );
    const { response } = decided;
    const { brokerEpoch, isClean, error } = response;
    if (error !== "NONE") {
      this.#deps.logger.warn("a broker was refused", {
        brokerId: nodeId,
        error,
        cause: response.errorMessage,
      });
      this.#afterCommit(decided, () => this.#drop(stream, refusalOf(response)));
      return;
    }
    // The same process on a new stream, or the next one on the same data directory: the old stream is nobody's now.
    if (before?.streamId !== stream.id) this.#closeStream(before?.streamId);
    stream.owner = nodeId;
    this.#liveness.begin({ nodeId, incarnationId, brokerEpoch }, stream.id);
    if (brokerEpoch !== knownEpoch) {
      this.#report("info", "broker registered", response, { brokerId: nodeId, brokerEpoch, isClean });
    }
    this.#afterCommit(decided, () => stream.send({ type: "registered", brokerEpoch }));
  }

  /** What cannot be logged now is decided again with the next heartbeat; the broker has done nothing wrong. */
  #onHeartbeatOrBusy(stream: SessionStream, frame: HeartbeatFrame): void {
    try {
      this.#onHeartbeat(stream, frame);
    } catch (error: unknown) {
      const isBusy = error instanceof LograftError && BUSY.has(String(error.code));
      if (!isBusy || stream.owner === undefined) throw error;
      this.#tell(stream, stream.owner, false);
    }
  }

  #onHeartbeat(stream: SessionStream, frame: HeartbeatFrame): void {
    const session = stream.owner === undefined ? undefined : this.#liveness.session(stream.owner);
    if (session === undefined || session.streamId !== stream.id) {
      throw operationError("INVALID_ARGUMENT", "a heartbeat came before the registration; register first");
    }
    const { nodeId } = session;
    const stale = epochRefusal(this.#deps.decisions.image, nodeId, frame.brokerEpoch);
    if (stale !== undefined) {
      // Not fenced for it: whatever it is, it does not speak for the registration that holds.
      this.#drop(stream, { ...refusalOf(stale), isRetriable: true });
      return;
    }
    this.#liveness.heard(session);
    if (frame.stateHash !== undefined && this.#isDifferent(frame.stateHash)) {
      this.#refuseDifferent(stream, session, frame.stateHash);
      return;
    }
    if (frame.wantsShutdown) this.#shutDown(stream, session);
    else this.#follow(stream, session, frame);
  }

  /** Fences, unfences, takes aside, takes back or leaves as it is, and tells the broker. */
  #follow(stream: SessionStream, session: Session, frame: HeartbeatFrame): void {
    const { nodeId } = session;
    const decided = this.#isSick(frame) ? this.#fenceSick(session, frame) : this.#putInPlace(session, frame);
    if (decided === undefined) this.#tell(stream, nodeId, false);
    else this.#afterCommit(decided, () => this.#tell(stream, nodeId, false));
  }

  #isSick({ loopAgeMs, diskAgeMs }: HeartbeatFrame): boolean {
    return Math.max(loopAgeMs, diskAgeMs) > this.#options.timeoutMs;
  }

  #fenceSick(
    { nodeId, brokerEpoch }: Session,
    { loopAgeMs, diskAgeMs }: HeartbeatFrame,
  ): Decided<PartitionEffects> | undefined {
    if (this.#deps.decisions.image.broker(nodeId)?.isFenced !== false) return undefined;
    const decided = this.#change([{ nodeId, brokerEpoch, isFenced: true }]);
    const reason = "its heartbeats come, but its data loop or its disk stands still";
    this.#report("warn", "broker fenced", decided.response, {
      brokerId: nodeId,
      brokerEpoch,
      reason,
      loopAgeMs,
      diskAgeMs,
    });
    return decided;
  }

  /**
   * A broker serves only with metadata that knows of its registration (H30), and of its last fencing: with those from
   * before it would take itself for the leader of what others lead by now (H31). One whose disk is full counts as one on its
   * way out while it says so, see `isToStepAside`: others lead what they can, and nobody waits for it. One that wants to
   * stop never takes that back, and a new process registers anew, so no heartbeat without that wish comes behind a real
   * shutdown.
   */
  #putInPlace(
    session: Session,
    { metadataOffset, isDiskFull }: HeartbeatFrame,
  ): Decided<PartitionEffects> | undefined {
    const { nodeId, brokerEpoch } = session;
    const isStopping = this.#liveness.isStopping(session);
    const { image } = this.#deps.decisions;
    const broker = image.broker(nodeId);
    if (broker === undefined || isStopping || metadataOffset < brokerEpoch) return undefined;
    const { isFenced, isShuttingDown: wasAside } = broker;
    if (isFenced && metadataOffset < this.#fencedBy(nodeId)) return undefined;
    const isAside = isToStepAside(image, broker, isDiskFull);
    if (!isFenced && wasAside === isAside) return undefined;
    const decided = this.#change([{ nodeId, brokerEpoch, isFenced: false, isShuttingDown: isAside }]);
    const { response } = decided;
    if (isFenced)
      this.#report("info", "broker unfenced", response, { brokerId: nodeId, brokerEpoch, isDiskFull });
    else if (isAside) this.#report("warn", STEPS_ASIDE, response, { brokerId: nodeId, brokerEpoch });
    else this.#report("info", HAS_ROOM, response, { brokerId: nodeId, brokerEpoch });
    return decided;
  }

  #shutDown(stream: SessionStream, session: Session): void {
    const { nodeId, brokerEpoch } = session;
    const wasStopping = this.#liveness.isStopping(session);
    const decided = this.#deps.decisions.decide((image) =>
      decideControlledShutdown(image, { nodeId, brokerEpoch }, this.#options.rules),
    );
    const { response } = decided;
    this.#liveness.stopping(session);
    if (!wasStopping) this.#report("info", "broker shuts down", response, { brokerId: nodeId, brokerEpoch });
    this.#afterCommit(decided, () => this.#tell(stream, nodeId, response.mayShutDown));
  }

  #isDifferent(reported: OffsetHash): boolean {
    const own = this.#deps.checkpoint();
    if (own !== undefined) this.#hashes.note(own);
    return this.#hashes.compare(reported) === "different";
  }

  /** It would serve what the cluster never decided (H19): it is out at once, and must not come back as it is. */
  #refuseDifferent(stream: SessionStream, session: Session, { offset, hash }: OffsetHash): void {
    const { nodeId } = session;
    const message =
      `the metadata of broker ${nodeId} at offset ${offset} is not that of the controller; stop it, keep a copy of its ` +
      "quorum directory for analysis, and remove that directory so that it copies the metadata again";
    this.#deps.logger.error(message, { brokerId: nodeId, offset, hash });
    this.#drop(stream, { code: "METADATA_CORRUPT", message, isRetriable: false });
    this.#liveness.expire(session);
  }

  #fenceDead(dead: readonly Session[]): boolean {
    const nodeIds = dead.map(({ nodeId }) => nodeId);
    try {
      const changes = dead.map(({ nodeId, brokerEpoch }) => ({ nodeId, brokerEpoch, isFenced: true }));
      const { response } = this.#change(changes);
      this.#report("warn", "brokers fenced", response, {
        brokerIds: nodeIds,
        reason: "their sessions ended",
      });
      return true;
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      this.#deps.logger.warn("brokers could not be fenced yet", { brokerIds: nodeIds, err: error });
      return false;
    }
  }

  #change(changes: readonly BrokerStateChange[]): Decided<PartitionEffects> {
    const { decisions } = this.#deps;
    const decided = decisions.decide((image) => decideBrokerStates(image, changes, this.#options.rules));
    for (const { nodeId, isFenced } of changes) if (isFenced) this.#fencedAt.set(nodeId, decided.offset);
    return decided;
  }

  /** Metadata offset at which a fenced broker was fenced, or a later one. */
  #fencedBy(nodeId: NodeId): number {
    return this.#fencedAt.get(nodeId) ?? this.#startOffset;
  }

  #report(level: "info" | "warn", message: string, effects: PartitionEffects, fields: LogFields): void {
    const { changedPartitions, newlyLeaderless, uncleanElections } = effects;
    this.#deps.logger[level](message, { ...fields, changedPartitions, newlyLeaderless });
    reportUncleanElections(this.#deps.logger, uncleanElections);
  }

  #tell(stream: SessionStream, nodeId: NodeId, mayShutDown: boolean): void {
    const isFenced = this.#deps.committed.broker(nodeId)?.isFenced ?? true;
    stream.send({ type: "state", isFenced, mayShutDown });
  }

  /** When the commit fails this controller is deposed, and every stream is told so. */
  #afterCommit(decided: Decided<unknown>, act: () => void): void {
    decided.committed.then(act, () => undefined);
  }

  /** What went wrong concerns this stream alone; the broker may still have time to open another one. */
  #refuse(stream: SessionStream, code: string, message: string): void {
    if (code === "NOT_CONTROLLER") {
      this.#redirect(stream);
      this.#leave(stream);
      return;
    }
    const nodeId = stream.owner ?? null;
    this.#deps.logger.warn("a session stream was ended", { brokerId: nodeId, error: code, cause: message });
    this.#drop(stream, { code, message, isRetriable: true });
  }

  #drop(stream: SessionStream, refusal: Refusal): void {
    stream.refuse(refusal);
    this.#leave(stream);
  }

  #redirect(stream: SessionStream): void {
    const leader = this.#deps.leader();
    stream.send({ type: "notController", ...(leader === undefined ? {} : { leader }) });
    stream.close();
  }

  #leave(stream: SessionStream): void {
    if (!this.#streams.delete(stream.id) || stream.owner === undefined) return;
    this.#liveness.streamEnded(stream.owner, stream.id);
  }

  /** Ends a stream that no session belongs to any more. */
  #closeStream(streamId: number | undefined): void {
    if (streamId === undefined) return;
    this.#streams.get(streamId)?.close();
    this.#streams.delete(streamId);
  }

  #makeRoom(): boolean {
    if (this.#streams.size < this.#options.maxStreams) return true;
    for (const stream of this.#streams.values()) {
      if (stream.owner !== undefined) continue;
      this.#closeStream(stream.id);
      return true;
    }
    return false;
  }
}

type Refusal = Omit<RefusedFrame, "type">;

function refusalOf({ error, errorMessage: message }: ItemOutcome): Refusal {
  return { code: error, message, isRetriable: isRetriable(error) };
}

function tooManyStreams(maxStreams: number): Refusal {
  const message = `the controller has ${maxStreams} session streams already; try again later`;
  return { code: "BUFFER_EXHAUSTED", message, isRetriable: true };
}
