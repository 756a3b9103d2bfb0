import { deadlineSignal, throwIfAborted } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import type { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Controller } from "../controller/controller.ts";
import { SUPPORTED_FEATURES } from "../controller/features.ts";
import type { RegisterFrame } from "../controller/session-frames.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Platform } from "../platform/platform.ts";
import type { QuorumNode } from "../quorum/quorum-node.ts";
import type { QuorumRole } from "../quorum/quorum-types.ts";
import { BrokerSession } from "./broker-session.ts";
import type { BrokerHealth } from "./broker-session.ts";
import type { ControllerChannel, SessionHandlers, SessionStream } from "./controller-channel.ts";
import type { MetadataPublisher } from "./metadata-publisher.ts";

/** What a broker says of itself when it joins; the rest is known here. */
export type Registration = Omit<RegisterFrame, "type" | "nodeId" | "peerEndpoint" | "features">;

export interface MembershipOptions {
  readonly nodeId: NodeId;
  /** Own peer endpoint; empty: none. */
  readonly endpoint: string;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

export interface MembershipDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  readonly quorum: QuorumNode;
  readonly controller: Controller;
  readonly publisher: MetadataPublisher;
  readonly channel: ControllerChannel | undefined;
  readonly health: BrokerHealth;
  /** Appends find no room on the data disk: the controller is told with every heartbeat. */
  readonly isDiskFull: () => boolean;
  /** `isContactLost` has become true: called once each time, at that moment. */
  readonly onContactLost: () => void;
  /** The cluster does not take this broker any more: it must stop. */
  readonly onRefused: (error: LograftError) => void;
}

/** How long a broker that stops waits for a controller to appear, and between two looks. */
const LEADERLESS_MS = 600;
const LEAVE_STEP_MS = 50;

/** This broker as a member of its cluster: joins, keeps its session with whoever is the controller, leaves. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #deps: MembershipDeps;
  #session: BrokerSession | undefined;
  #joined: Deferred<{ readonly brokerEpoch: number }> | undefined;
  /** Whom the session is with: the quorum's directory id of the controller. */
  #controllerDirectory: string | undefined;

  constructor(options: MembershipOptions, deps: MembershipDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** True while the controller has not taken this broker for alive for a session's length: what only a leader may do must stop (H31). */
  get isContactLost(): boolean {
    return this.#session?.isContactLost ?? true;
  }

  /**
   * Registers this broker and keeps its session from then on; resolves when it is unfenced in its own image (H30).
   * @throws the reason of `signal`; what the controller refuses it with.
   */
  async join(registration: Registration, signal: AbortSignal): Promise<{ readonly brokerEpoch: number }> {
    throwIfAborted(signal);
    const joined = new Deferred<{ readonly brokerEpoch: number }>();
    this.#joined = joined;
    this.#session = this.#makeSession(registration);
    this.#session.start();
    const onAbort = (): void =>
      joined.reject(
        operationError("ABORTED", "this broker was stopped before it joined", { cause: signal.reason }),
      );
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await joined.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Gives everything away that others can take over: the controller's role, then the leaderships. Ends sooner where there
   * is nobody to give it to. Never rejects.
   */
  async leave(timeoutMs: number): Promise<void> {
    const { quorum, platform } = this.#deps;
    const { clock } = platform;
    using deadline = deadlineSignal(clock, timeoutMs);
    try {
      if (quorum.role.isActive) await quorum.transferLeadership(undefined, deadline.signal);
      if (this.#session?.brokerEpoch === undefined) return;
      let isReleased = false;
      const released = this.#session.requestShutdown().then(() => (isReleased = true));
      // The others may be stopping too: without a controller nobody answers any more.
      for (let leaderlessMs = 0; !isReleased && leaderlessMs < LEADERLESS_MS; leaderlessMs += LEAVE_STEP_MS) {
        if (quorum.role.leader !== undefined) leaderlessMs = 0;
        await Promise.race([released, clock.sleep(LEAVE_STEP_MS, deadline.signal)]);
      }
    } catch (error: unknown) {
      this.#deps.logger.warn("this broker stops without having given its roles away", {
        err: error,
      });
    }
  }

  /** Another node may be the controller now. */
  roleChanged(role: QuorumRole): void {
    const directory = role.leader?.directoryId;
    if (directory === this.#controllerDirectory && !role.isActive) return;
    this.#controllerDirectory = directory;
    this.#session?.controllerChanged();
  }

  /** What heartbeats tell has changed: the controller hears of it now, if there is a session with it. */
  beat(): void {
    this.#session?.beat();
  }

  /** The metadata may have reached this broker's registration, or its fencing, which it has to know to be let in: the controller hears of it now, not with the next heartbeat. */
  applied(): void {
    const epoch = this.#session?.brokerEpoch;
    if (epoch === undefined) return;
    const registered = this.#deps.publisher.image.broker(this.#options.nodeId);
    if (registered?.brokerEpoch !== epoch) return;
    if (registered.isFenced) this.#session?.beat();
    else if (this.#joined?.isSettled === false) this.#joined.resolve({ brokerEpoch: epoch });
  }

  /** The session ends, and the controller fences this broker. Idempotent. */
  close(): void {
    this.#session?.close();
  }

  #makeSession(registration: Registration): BrokerSession {
    const { platform, logger, health, isDiskFull, quorum, publisher } = this.#deps;
    const { nodeId, endpoint, heartbeatIntervalMs, sessionTimeoutMs } = this.#options;
    return new BrokerSession(
      {
        heartbeatIntervalMs,
        sessionTimeoutMs,
        registration: { ...registration, nodeId, peerEndpoint: endpoint, features: SUPPORTED_FEATURES },
      },
      {
        clock: platform.clock,
        random: platform.random,
        logger,
        health,
        isDiskFull,
        open: (handlers) => this.#openStream(handlers),
        metadataOffset: () => quorum.appliedOffset,
        stateHash: () => publisher.checkpoint,
        onLost: () => {
          const { leader } = quorum.role;
          if (leader !== undefined) quorum.peerClosed(leader.nodeId);
        },
        onContactLost: this.#deps.onContactLost,
        onRefused: (error) => this.#refuse(error),
      },
    );
  }

  #openStream(handlers: SessionHandlers): SessionStream | undefined {
    const { quorum, channel } = this.#deps;
    const { leader, isActive } = quorum.role;
    if (isActive) return this.#openLocalStream(handlers);
    // A leader that nobody has told the address of is as good as none.
    if (leader === undefined || leader.endpoint === "") return undefined;
    if (leader.nodeId !== this.#options.nodeId) return channel?.openSession(leader, handlers);
    // Of this node's own past, which others have not forgotten yet, or of somebody who lives under its id (H26).
    const { endpoint } = this.#options;
    if (leader.directoryId !== quorum.directoryId && leader.endpoint !== endpoint)
      this.#refuse(twinError(leader));
    return undefined;
  }

  /** The cluster does not take this broker: it must not go on. */
  #refuse(error: LograftError): void {
    this.#session?.close();
    if (this.#joined?.isSettled === false) this.#joined.reject(error);
    else this.#deps.onRefused(error);
  }

  /** To the controller in this very process: the same frames, a turn of the loop later. */
  #openLocalStream(handlers: SessionHandlers): SessionStream {
    const { clock } = this.#deps.platform;
    const accepted = this.#deps.controller.acceptSession({
      send: (frame) => clock.defer(() => handlers.onFrame(Buffer.from(frame))),
      close: () =>
        clock.defer(() =>
          handlers.onEnd("closed", operationError("CLOSED", "this node is not the controller any more")),
        ),
    });
    return {
      send: (frame) => clock.defer(() => accepted.onFrame(Buffer.from(frame))),
      close: () => clock.defer(() => accepted.onEnd()),
    };
  }
}

function twinError({ nodeId, endpoint }: PeerAddress): LograftError {
  return operationError(
    "CONFIG_INVALID",
    `node id ${nodeId} is in use: the broker at ${endpoint} has it, with another data directory; give this one another node.id`,
    { context: { nodeId, endpoint } },
  );
}
