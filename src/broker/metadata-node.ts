import { deadlineSignal } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { LograftError, operationError } from "../base/errors.ts";
import { componentLogger, type Logger } from "../base/logger.ts";
import { Controller } from "../controller/controller.ts";
import { decodeControllerRequest } from "../controller/request-codec.ts";
import { encodeControllerResponse } from "../controller/response-codec.ts";
import type { ControllerRequest, ResponseOf } from "../controller/requests.ts";
import type { TopicRules } from "../controller/topics.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { encodeMetadataRecords } from "../metadata/record-codec.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import type { MetadataDelta } from "../metadata/replay.ts";
import { stateHash } from "../metadata/replay.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Platform } from "../platform/platform.ts";
import { QuorumNode } from "../quorum/quorum-node.ts";
import type { QuorumOptions, QuorumRole } from "../quorum/quorum-types.ts";
import type { Hello, RaftTransport } from "../quorum/raft-transport.ts";
import type { AcceptedReplica, ReplicaInput } from "../replication/leader-endpoint.ts";
import type { BrokerHealth } from "./broker-session.ts";
import type { AcceptedSession, ControllerChannel } from "./controller-channel.ts";
import { ClockCheck } from "./clock-check.ts";
import { ControllerClient } from "./controller-client.ts";
import { Membership } from "./membership.ts";
import type { Registration } from "./membership.ts";
import { MetadataPublisher } from "./metadata-publisher.ts";
import type { PeerEndpoint } from "./peer-endpoint.ts";
import { voterControlOf } from "./voter-control.ts";

export interface MetadataNodeOptions {
  readonly quorum: QuorumOptions;
  readonly rules: TopicRules;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly leaderRebalanceIntervalMs: number;
}

export interface MetadataNodeDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  /** Both undefined: a cluster of this broker alone. */
  readonly transport: RaftTransport | undefined;
  readonly channel: ControllerChannel | undefined;
  readonly joinCluster: (clusterId: string) => Promise<void>;
  /** Each committed change, in order; from within `open` already. Must not throw. */
  readonly onChange: (delta: MetadataDelta) => void;
  readonly health: BrokerHealth;
  /** Appends find no room on the data disk. Left out: this node keeps no records. */
  readonly isDiskFull?: () => boolean;
  /** `isContactLost` has become true: called once each time, at that moment. Left out: nobody asks for it here. */
  readonly onContactLost?: () => void;
  /** The clock is held against each controller's. Left out: it is not. */
  readonly checksClock?: boolean;
  /** Serves a follower's stream. Left out: this node leads no partition, and tells so whoever comes. */
  readonly acceptReplica?: (stream: AcceptedReplica) => ReplicaInput;
}

/** Commands that may wait for their commit. */
const MAX_WAITING_COMMANDS = 1000;
/** How long a broker whose connection closed may take to come back before it is fenced. */
const RECONNECT_GRACE_MS = 500;
/** Of the question whether a process is gone. */
const PROBE_TIMEOUT_MS = 500;

/**
 * This broker's part in the cluster's metadata: a replica of its log, the image it gives, the controller while this
 * broker is it, and the way to the controller while another one is.
 */
export class MetadataNode implements PeerEndpoint {
  readonly nodeId: NodeId;
  /** Resolves with the error after which this broker must stop (H15, H19). */
  readonly failure: Promise<Error>;
  readonly quorum: QuorumNode;
  readonly controller: Controller;
  readonly #options: MetadataNodeOptions;
  readonly #deps: MetadataNodeDeps;
  readonly #publisher: MetadataPublisher;
  readonly #client: ControllerClient;
  readonly #membership: Membership;
  readonly #clockCheck: ClockCheck;
  readonly #failure = new Deferred<Error>();
  /** Epoch that the controller here is active for. */
  #activeEpoch: number | undefined;
  #ledEpoch = 0;
  #electionCount = 0;
  #isClosed = false;

  private constructor(
    options: MetadataNodeOptions,
    deps: MetadataNodeDeps,
    parts: { readonly quorum: QuorumNode; readonly publisher: MetadataPublisher },
  ) {
    const { quorum, publisher } = parts;
    this.nodeId = options.quorum.nodeId;
    this.failure = this.#failure.promise;
    this.quorum = quorum;
    this.#options = options;
    this.#deps = deps;
    this.#publisher = publisher;
    this.controller = this.#makeController();
    this.#client = new ControllerClient({
      quorum,
      controller: this.controller,
      channel: deps.channel,
      clock: deps.platform.clock,
    });
    const { sessionTimeoutMs, heartbeatIntervalMs } = options;
    this.#membership = new Membership(
      { nodeId: this.nodeId, endpoint: options.quorum.endpoint, sessionTimeoutMs, heartbeatIntervalMs },
      {
        ...deps,
        quorum,
        publisher,
        controller: this.controller,
        isDiskFull: () => deps.isDiskFull?.() === true,
        onContactLost: () => deps.onContactLost?.(),
        onRefused: (error) => this.#failure.resolve(error),
      },
    );
    const transport = deps.checksClock === true ? deps.transport : undefined;
    this.#clockCheck = new ClockCheck({
      nodeId: this.nodeId,
      clock: deps.platform.clock,
      logger: deps.logger,
      ask: transport && ((endpoint, signal) => transport.hello(endpoint, quorum.selfHello(), signal)),
    });
    // Its own failures are told here; nobody else owns this promise.
    void quorum.failure.then((error) => this.#failure.resolve(error));
    quorum.onRole((role) => this.#onRole(role));
    quorum.onApplied(() => this.#membership.applied());
  }

  /** Opens what is on the disk and brings the image to the last state that is known to be committed. @throws as `QuorumNode.open`. */
  static async open(options: MetadataNodeOptions, deps: MetadataNodeDeps): Promise<MetadataNode> {
    const publisher = new MetadataPublisher({ onChange: deps.onChange });
    const { platform, logger, transport, joinCluster } = deps;
    const quorum = await QuorumNode.open(options.quorum, {
      platform,
      logger: componentLogger(logger, "quorum"),
      transport,
      joinCluster,
      stateMachine: publisher,
    });
    return new MetadataNode(options, deps, { quorum, publisher });
  }

  get image(): MetadataImage {
    return this.#publisher.image;
  }

  get directoryId(): string {
    return this.quorum.directoryId;
  }

  get clusterId(): string | undefined {
    return this.quorum.clusterId;
  }

  /** Terms in which this node has come to know a leader; for metrics. */
  get electionCount(): number {
    return this.#electionCount;
  }

  /** A checksum of the whole image; costs time by its size. */
  get stateHash(): number {
    return stateHash(this.#publisher.image);
  }

  /** True while the controller has not been heard for a session's length: what only a leader may do must stop (H31). */
  get isContactLost(): boolean {
    return this.#membership.isContactLost;
  }

  /** Takes part in the quorum from now on: founds, joins, votes. */
  start(): void {
    this.quorum.start();
  }

  /**
   * To the active controller, wherever it is; answers when the effect is in this broker's image too. Waits for a
   * controller while there is none. @throws LograftError NO_QUORUM after `timeoutMs`, and what the controller throws.
   */
  call<Request extends ControllerRequest>(
    request: Request,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<ResponseOf<Request["type"]>> {
    return this.#client.call(request, options);
  }

  /**
   * Registers this broker and keeps its session from then on; resolves when it is unfenced in its own image (H30).
   * @throws the reason of `signal`; what the controller refuses it with.
   */
  join(registration: Registration, signal: AbortSignal): Promise<{ readonly brokerEpoch: number }> {
    return this.#membership.join(registration, signal);
  }

  /** A heartbeat now: what it tells, such as `isDiskFull`, has changed. */
  beat(): void {
    this.#membership.beat();
  }

  /** Gives everything away that others can take over, within `timeoutMs`. Never rejects. */
  leave(timeoutMs: number): Promise<void> {
    return this.#membership.leave(timeoutMs);
  }

  receive(message: Buffer): void {
    this.quorum.receive(message);
  }

  hello(from: Hello): Hello {
    return this.quorum.hello(from);
  }

  peerClosed(nodeId: NodeId): void {
    this.quorum.peerClosed(nodeId);
  }

  /** A request that another broker passed on. @throws what the controller throws, CORRUPT_MESSAGE. */
  async handleCall(request: Buffer, signal: AbortSignal): Promise<Buffer> {
    const decoded = decodeControllerRequest(request);
    return encodeControllerResponse(await this.#client.callHere(decoded, signal));
  }

  acceptSession(stream: AcceptedSession): { onFrame(frame: Buffer): void; onEnd(): void } {
    return this.controller.acceptSession(stream);
  }

  /** @throws CLOSED where nothing is led. */
  acceptReplica(stream: AcceptedReplica): ReplicaInput {
    const { acceptReplica } = this.#deps;
    if (acceptReplica !== undefined) return acceptReplica(stream);
    const text = `node ${this.nodeId} keeps metadata only and serves no replicas; follow the broker that leads the partition`;
    throw operationError("CLOSED", text, { context: { nodeId: this.nodeId }, retriable: true });
  }

  /** Ends the session, lets the write in progress finish. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#membership.close();
    this.#clockCheck.close();
    this.controller.deactivate();
    await this.quorum.close();
  }

  #makeController(): Controller {
    const { platform, logger, transport } = this.#deps;
    const { quorum } = this;
    return new Controller(
      {
        nodeId: this.nodeId,
        sessionTimeoutMs: this.#options.sessionTimeoutMs,
        reconnectGraceMs: RECONNECT_GRACE_MS,
        maxWaiting: MAX_WAITING_COMMANDS,
        rules: this.#options.rules,
        configuredPeers: new Map(
          this.#options.quorum.foundingVoters.map(({ nodeId, endpoint }) => [nodeId, endpoint]),
        ),
        leaderRebalanceIntervalMs: this.#options.leaderRebalanceIntervalMs,
      },
      {
        log: {
          get nextOffset() {
            return quorum.nextOffset;
          },
          propose: (records, metadataVersion) =>
            quorum.propose(encodeMetadataRecords(records, metadataVersion), {
              isUrgent: !records.some(takesRoom),
            }),
        },
        voters: voterControlOf(quorum),
        committed: this.#publisher.state,
        checkpoint: () => this.#publisher.checkpoint,
        clock: platform.clock,
        random: platform.random,
        logger: componentLogger(logger, "controller"),
        probe: (address, signal) => this.#probe(address, transport, signal),
      },
    );
  }

  /** Whether a process still listens where the broker's peer port is. */
  async #probe(
    address: PeerAddress,
    transport: RaftTransport | undefined,
    signal: AbortSignal,
  ): Promise<"refused" | "answered" | "unknown"> {
    if (transport === undefined) return "unknown";
    using deadline = deadlineSignal(this.#deps.platform.clock, PROBE_TIMEOUT_MS, signal);
    try {
      await transport.hello(address.endpoint, this.quorum.selfHello(), deadline.signal);
      return "answered";
    } catch (error: unknown) {
      return error instanceof LograftError && error.context["isRefused"] === true ? "refused" : "unknown";
    }
  }

  #onRole(role: QuorumRole): void {
    if (this.#isClosed) return;
    if (role.leader !== undefined && role.epoch !== this.#ledEpoch) {
      this.#ledEpoch = role.epoch;
      this.#electionCount++;
    }
    const activeEpoch = role.isActive ? role.epoch : undefined;
    // Lost and won again is another reign: what was decided ahead in the one before is not to be relied on.
    if (activeEpoch !== undefined && activeEpoch !== this.#activeEpoch) this.controller.activate(activeEpoch);
    else if (activeEpoch === undefined) this.controller.deactivate();
    this.#activeEpoch = activeEpoch;
    this.#client.roleChanged();
    this.#membership.roleChanged(role);
    this.#clockCheck.roleChanged(role);
  }
}

/** What a full disk refuses; all else is small, or makes room. */
function takesRoom({ type }: MetadataRecord): boolean {
  return type === "Topic" || type === "TopicConfig" || type === "ProducerIds";
}
