import { abortable, abortReason, throwIfAborted } from "../base/abort.ts";
import { LograftError, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { MetadataState } from "../metadata/replay.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { NodeId } from "../model/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { BrokerSessions } from "./broker-sessions.ts";
import { reportChange } from "./change-report.ts";
import { decideCommand } from "./commands.ts";
import type { CommandType } from "./commands.ts";
import { DecisionLog, notControllerError } from "./decision-log.ts";
import { decideBootstrap } from "./features.ts";
import { LeaderBalancer } from "./leader-balancer.ts";
import type { Probe } from "./liveness.ts";
import type { MetadataLog } from "./metadata-log.ts";
import type { ControllerRequest, ControllerResponse, ControllerResults, RequestOf } from "./requests.ts";
import type { OffsetHash } from "./session-frames.ts";
import type { SessionInput, SessionPeer } from "./session-stream.ts";
import type { TopicRules } from "./topics.ts";
import { reportUncleanElections } from "./unclean-report.ts";
import type { VoterControl } from "./voter-control.ts";

export interface ControllerOptions {
  readonly nodeId: NodeId;
  /** Silence after which a broker is fenced, in ms. */
  readonly sessionTimeoutMs: number;
  /** How long a broker whose stream ended may take to come back, in ms. */
  readonly reconnectGraceMs: number;
  /** Commands that may wait for their commit; more are refused with BUFFER_EXHAUSTED. */
  readonly maxWaiting: number;
  readonly rules: TopicRules;
  /** See `LivenessOptions`. Default: none. */
  readonly configuredPeers?: ReadonlyMap<NodeId, string>;
  /** Between two checks that the preferred replicas lead, in ms; 0: never. Default 300000. */
  readonly leaderRebalanceIntervalMs?: number;
  /** Brokers that a new controller fences within a second (H20). Default 2. */
  readonly maxFencesPerSecond?: number;
  /** Session streams at a time. Default 1024. */
  readonly maxStreams?: number;
}

export interface ControllerDeps {
  readonly log: MetadataLog;
  readonly voters: VoterControl;
  /** What is committed and applied here; the controller only reads it. */
  readonly committed: MetadataState;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly probe: Probe;
  /** The own hash of the metadata at the latest offset that all brokers hash, once there is one. */
  readonly checkpoint: () => OffsetHash | undefined;
}

/**
 * The cluster's controller, on every node; active on the one that leads the metadata quorum. Each change is decided,
 * logged and committed, and only then answered (D3).
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #deps: ControllerDeps;
  readonly #logger: Logger;
  readonly #decisions: DecisionLog;
  readonly #sessions: BrokerSessions;
  readonly #balancer: LeaderBalancer;
  #waitingCount = 0;

  constructor(options: ControllerOptions, deps: ControllerDeps) {
    const { sessionTimeoutMs: timeoutMs, reconnectGraceMs, rules } = options;
    const { leaderRebalanceIntervalMs: intervalMs = 300_000 } = options;
    const { maxFencesPerSecond = 2, maxStreams = 1024, configuredPeers = new Map() } = options;
    const { clock, logger, log, committed, voters, probe, checkpoint } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#logger = logger;
    this.#decisions = new DecisionLog({ log, committed, onLost: (cause) => this.#onLost(cause) });
    const decisions = this.#decisions;
    this.#sessions = new BrokerSessions(
      { timeoutMs, reconnectGraceMs, rules, maxFencesPerSecond, maxStreams, configuredPeers },
      { decisions, committed, clock, logger, probe, checkpoint, leader: () => voters.leader },
    );
    this.#balancer = new LeaderBalancer({ intervalMs, rules }, { decisions, clock, logger });
  }

  get isActive(): boolean {
    return this.#decisions.isStarted;
  }

  /**
   * This node is the settled leader of that epoch: decisions begin from what is committed, and every broker that takes
   * part has a full session's time to show up here (H20).
   */
  activate(epoch: number): void {
    this.deactivate();
    this.#decisions.start();
    this.#logger.info("this node is the controller", { nodeId: this.#options.nodeId, epoch });
    this.#sessions.start();
    this.#balancer.start();
    this.#bootstrap();
  }

  /** This node does not lead any more: waiting calls reject with NOT_CONTROLLER, brokers are sent elsewhere. Idempotent. */
  deactivate(): void {
    if (!this.isActive) return;
    this.#decisions.stop();
    this.#balancer.stop();
    this.#sessions.stop();
    this.#logger.info("this node is not the controller any more", { nodeId: this.#options.nodeId });
  }

  /**
   * Carries a request out and answers when its effect is committed. @throws ProtocolError NOT_CONTROLLER (with
   * `context.isIndefinite` true when the effect may still come), and the errors that refuse the request as a whole;
   * LograftError BUFFER_EXHAUSTED, DISK_FULL, CLOSED; when `signal` fires, an error with the code of its reason that says
   * that the request may still take effect.
   */
  async call(request: ControllerRequest, signal: AbortSignal): Promise<ControllerResponse> {
    throwIfAborted(signal);
    if (!this.isActive) throw notControllerError();
    if (this.#waitingCount >= this.#options.maxWaiting) throw tooManyError(this.#waitingCount);
    this.#waitingCount++;
    try {
      return await this.#carryOut(request, signal);
    } catch (error: unknown) {
      // A question changes nothing, so it needs no such warning.
      if (!signal.aborted || request.type === "describeQuorum") throw error;
      const reason = abortReason(signal);
      throw error === reason ? abandonedError(request, reason) : error;
    } finally {
      this.#waitingCount--;
    }
  }

  /** A broker opened its heartbeat stream. On a node that is not the controller it is told so, and the stream ends. */
  acceptSession(stream: SessionPeer): SessionInput {
    return this.#sessions.accept(stream);
  }

  #carryOut(request: ControllerRequest, signal: AbortSignal): Promise<ControllerResponse> {
    switch (request.type) {
      case "addVoter":
      case "removeVoter":
        return this.#changeVoters(request, signal);
      case "describeQuorum":
        return this.#describeQuorum(request, signal);
      default:
        return this.#command(request.type, request, signal, (isDone) =>
          reportChange(this.#logger, this.#deps.committed, request, isDone),
        );
    }
  }

  async #command<Type extends CommandType>(
    type: Type,
    request: RequestOf<Type>,
    signal: AbortSignal,
    report: (isDone: (index: number) => boolean) => void,
  ): Promise<ControllerResponse> {
    const context = { rules: this.#options.rules, random: this.#deps.random };
    let isChange = false;
    const decided = this.#decisions.decide((image) => {
      const decision = decideCommand(type, image, request, context);
      isChange = decision.records.length > 0;
      return decision;
    });
    const { response, offset } = decided;
    if (response.ok) reportUncleanElections(this.#logger, response.uncleanElections);
    await abortable(decided.committed, signal);
    if (!response.ok) throw new ProtocolError(response.refusal.error, response.refusal.errorMessage);
    const { result } = response;
    if (isChange) report((index) => !Array.isArray(result) || isAccepted(result[index]));
    return responseOf(type, offset, response.result);
  }

  async #changeVoters(
    request: RequestOf<"addVoter" | "removeVoter">,
    signal: AbortSignal,
  ): Promise<ControllerResponse> {
    const { type, nodeId } = request;
    const directoryId = type === "removeVoter" ? request.directoryId : undefined;
    await this.#deps.voters.changeVoters(
      {
        type: type === "addVoter" ? "add" : "remove",
        nodeId,
        ...(directoryId === undefined ? {} : { directoryId }),
      },
      signal,
    );
    return responseOf(type, this.#deps.log.nextOffset - 1, null);
  }

  async #describeQuorum(
    { type }: RequestOf<"describeQuorum">,
    signal: AbortSignal,
  ): Promise<ControllerResponse> {
    const offset = await this.#deps.voters.readBarrier(signal);
    return responseOf(type, offset, this.#deps.voters.describe());
  }

  /** The quorum also tells of it, now or later; what was decided ahead must not be built upon until then. */
  #onLost(cause: Error): void {
    this.#logger.warn("what this controller proposed may not be committed", { err: cause });
    this.deactivate();
  }

  /** A cluster without feature levels is new. */
  #bootstrap(): void {
    try {
      this.#decisions.decide((image) => decideBootstrap(image));
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      // The next activation does it; until then the cluster works as one that uses no features.
      this.#logger.warn("the first feature levels could not be logged", { err: error });
    }
  }
}

function responseOf<Type extends ControllerRequest["type"]>(
  type: Type,
  offset: number,
  result: ControllerResults[Type],
): ControllerResponse {
  // Type and result belong together by this signature, which the compiler does not see through the union.
  return { type, offset, result } as ControllerResponse;
}

/** Of an answer that has an outcome for each item of its request. */
function isAccepted(outcome: unknown): boolean {
  return typeof outcome === "object" && outcome !== null && "error" in outcome && outcome.error === "NONE";
}

function tooManyError(waitingCount: number): LograftError {
  return operationError(
    "BUFFER_EXHAUSTED",
    `${waitingCount} commands wait for the controller already; slow down and try again`,
    { retriable: true, context: { waitingCount } },
  );
}

function abandonedError({ type }: ControllerRequest, reason: Error): LograftError {
  const code = reason instanceof LograftError ? String(reason.code) : "ABORTED";
  return new LograftError(
    code,
    `${reason.message}; the request (${type}) was given to the metadata log and may still take effect`,
    { cause: reason, context: { isIndefinite: true } },
  );
}
