import type { Logger } from "../base/logger.ts";
import type { BrokerImage, MetadataImage } from "../metadata/image.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import { Fencing } from "./fencing.ts";
import { Sessions } from "./sessions.ts";
import type { Session, SessionOwner, SessionsOptions } from "./sessions.ts";

/** Asks whether a process still listens at a peer port: "refused" means that none does. */
export type Probe = (
  address: PeerAddress,
  signal: AbortSignal,
) => Promise<"refused" | "answered" | "unknown">;

export interface LivenessOptions extends SessionsOptions {
  /** Brokers fenced within one second while the controller is new, see `Fencing`. */
  readonly maxFencesPerSecond: number;
  /** Where this node's own configuration says that others are; it wins over what they registered, as in the quorum. */
  readonly configuredPeers: ReadonlyMap<NodeId, string>;
}

export interface LivenessDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: Probe;
  /** What is decided so far. */
  readonly image: () => MetadataImage;
  /** Fences these brokers. Answers false when that cannot be logged now; it is asked again then. Must not throw. */
  readonly fence: (dead: readonly Session[]) => boolean;
  /** The session is over: its stream, if it has one, must end. */
  readonly onEnded: (session: Session) => void;
}

/**
 * From the activation until those are looked for who have not come. They come as soon as they hear of a new controller; a
 * look does no harm to whoever is slow, and one that died with the former controller leads until it is found out.
 */
const FIRST_LOOK_MS = 50;
/** After a fencing that could not be logged. */
const RETRY_MS = 100;
/** Lengths of a session after the activation in which few are fenced at once: the first wave of deadlines falls within. */
const LIMITED_SESSIONS = 2;

/**
 * Watches over the brokers' sessions on the active controller: who is silent for too long, or whose process is gone, is
 * fenced. One timer for all of them, at the earliest deadline; none while there is no session.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #deps: LivenessDeps;
  readonly #sessions: Sessions;
  readonly #fencing: Fencing;
  readonly #probes = new Map<NodeId, AbortController>();
  #timer: { readonly timer: Timer; readonly dueMs: number } | undefined;
  #firstLook: Timer | undefined;
  /** Deadlines before it wait for it. */
  #notBeforeMs = 0;
  #isStarted = false;

  constructor(options: LivenessOptions, deps: LivenessDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#sessions = new Sessions(options);
    this.#fencing = new Fencing({ maxPerSecond: options.maxFencesPerSecond });
  }

  /**
   * Every broker that takes part gets a session of full length, whatever the controller before may have known (H20). Who
   * has not come after a moment is asked whether it is there: the controller before may have died with its own broker.
   */
  start(): void {
    const { clock } = this.#deps;
    const nowMs = clock.monotonicMs();
    this.#isStarted = true;
    this.#notBeforeMs = 0;
    this.#fencing.limit(nowMs + LIMITED_SESSIONS * this.#options.timeoutMs);
    for (const broker of this.#deps.image().brokers()) {
      if (!broker.isFenced) this.#sessions.begin(broker, undefined, nowMs);
    }
    if (this.#sessions.size > 0) {
      this.#firstLook = clock.setTimer(FIRST_LOOK_MS, () => this.#probeMissing());
    }
    this.#arm();
  }

  /** Forgets all sessions. Idempotent. */
  stop(): void {
    this.#isStarted = false;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    this.#firstLook?.cancel();
    for (const probe of this.#probes.values()) probe.abort();
    this.#probes.clear();
    this.#sessions.clear();
  }

  session(nodeId: NodeId): Session | undefined {
    return this.#sessions.get(nodeId);
  }

  /** A broker registered, or came back on another stream. */
  begin(owner: SessionOwner, streamId: number): void {
    this.#forgetProbe(owner.nodeId);
    this.#sessions.begin(owner, streamId, this.#deps.clock.monotonicMs());
    this.#arm();
  }

  heard(session: Session): void {
    this.#sessions.heard(session, this.#deps.clock.monotonicMs());
  }

  /** The broker wants to stop: the end of its stream will be its own end. */
  stopping(session: Session): void {
    this.#sessions.stopping(session);
  }

  isStopping(session: Session): boolean {
    return this.#sessions.isStopping(session);
  }

  /**
   * A broker's stream ended. Its process may be gone, which a refused connection tells at once, or only the connection,
   * and then it will be back soon. One that wanted to stop has stopped.
   */
  streamEnded(nodeId: NodeId, streamId: number): void {
    const session = this.#sessions.streamEnded(nodeId, streamId, this.#deps.clock.monotonicMs());
    if (session === undefined) return;
    const broker = this.#unfenced(session);
    if (broker !== undefined && this.#sessions.isStopping(session)) this.expire(session);
    else if (broker !== undefined) this.#probe(session, broker);
    this.#arm();
  }

  /** The broker is dead or not to be trusted: it is fenced as soon as the limit allows. */
  expire(session: Session): void {
    this.#sessions.expire(session, this.#deps.clock.monotonicMs());
    this.#arm();
  }

  #probeMissing(): void {
    for (const broker of this.#deps.image().brokers()) {
      const session = this.#sessions.get(broker.nodeId);
      if (session === undefined || session.streamId !== undefined || broker.isFenced) continue;
      this.#probe(session, broker);
    }
  }

  #probe(session: Session, { nodeId, peerEndpoint }: BrokerImage): void {
    const endpoint = this.#options.configuredPeers.get(nodeId) ?? peerEndpoint;
    if (endpoint === "") return; // Stands alone: there is nobody to ask.
    this.#forgetProbe(nodeId);
    const abort = new AbortController();
    this.#probes.set(nodeId, abort);
    this.#deps.probe({ nodeId, directoryId: "", endpoint }, abort.signal).then(
      (answer) => {
        // Back on another stream, or fenced already: the answer is about a process that nobody asks for any more.
        if (!abort.signal.aborted && answer === "refused") this.expire(session);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        this.#deps.logger.debug("could not ask whether a broker is gone", {
          brokerId: nodeId,
          err: error,
        });
      },
    );
  }

  #forgetProbe(nodeId: NodeId): void {
    this.#probes.get(nodeId)?.abort();
    this.#probes.delete(nodeId);
  }

  /** One timer, at the earliest deadline; it is left alone when it comes early enough. */
  #arm(): void {
    const nextMs = this.#sessions.nextDeadlineMs;
    if (!this.#isStarted || nextMs === undefined) return;
    const dueMs = Math.max(nextMs, this.#notBeforeMs);
    if (this.#timer !== undefined) {
      if (this.#timer.dueMs <= dueMs) return;
      this.#timer.timer.cancel();
    }
    const { clock } = this.#deps;
    const timer = clock.setTimer(Math.max(dueMs - clock.monotonicMs(), 0), () => {
      if (this.#timer?.timer !== timer) return;
      this.#timer = undefined;
      // If this process stood still, heartbeats wait in its sockets: they are read before anybody is taken for dead (H32).
      clock.defer(() => this.#check());
    });
    this.#timer = { timer, dueMs };
  }

  #check(): void {
    if (!this.#isStarted) return;
    const nowMs = this.#deps.clock.monotonicMs();
    const dead: Session[] = [];
    for (const session of this.#sessions.due(nowMs)) {
      if (this.#unfenced(session) === undefined) this.#end(session);
      else dead.push(session);
    }
    const { chosen, retryAtMs } = this.#fencing.choose(dead, nowMs);
    this.#notBeforeMs = retryAtMs ?? 0;
    if (chosen.length > 0) {
      if (this.#deps.fence(chosen)) for (const session of chosen) this.#end(session);
      else this.#notBeforeMs = nowMs + RETRY_MS;
    }
    this.#arm();
  }

  #end(session: Session): void {
    this.#forgetProbe(session.nodeId);
    this.#sessions.end(session.nodeId);
    this.#deps.onEnded(session);
  }

  /** The broker of the session, while it takes part under that registration. */
  #unfenced({ nodeId, brokerEpoch }: Session): BrokerImage | undefined {
    const broker = this.#deps.image().broker(nodeId);
    return broker?.brokerEpoch === brokerEpoch && !broker.isFenced ? broker : undefined;
  }
}
