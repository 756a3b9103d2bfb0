import { Deferred } from "../../src/base/deferred.ts";
import type { Logger } from "../../src/base/logger.ts";
import { Controller } from "../../src/controller/controller.ts";
import type { ControllerOptions } from "../../src/controller/controller.ts";
import { SUPPORTED_FEATURES } from "../../src/controller/features.ts";
import type { MetadataLog, MetadataProposal } from "../../src/controller/metadata-log.ts";
import { responseTo } from "../../src/controller/requests.ts";
import type { ControllerRequest, ResponseOf } from "../../src/controller/requests.ts";
import { decodeControllerFrame, encodeBrokerFrame } from "../../src/controller/session-frames.ts";
import type {
  BrokerFrame,
  ControllerFrame,
  HeartbeatFrame,
  OffsetHash,
  RegisterFrame,
} from "../../src/controller/session-frames.ts";
import type { SessionInput, SessionPeer } from "../../src/controller/session-stream.ts";
import type { QuorumView, VoterControl } from "../../src/controller/voter-control.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { ProtocolError } from "../../src/model/error-code.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { NodeId } from "../../src/model/ids.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import type { Timer } from "../../src/platform/clock.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import type { VoterChange } from "../../src/quorum/quorum-types.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { RULES } from "./test-cluster.ts";

export const SESSION_MS = 3000;
export const HEARTBEAT_MS = 500;
export const GRACE_MS = 500;

interface HeldEntry {
  readonly records: readonly MetadataRecord[];
  readonly done: Deferred<void>;
}

/** A log whose entries are committed at once, or when the test says so. */
export class HeldLog implements MetadataLog {
  readonly committed: MetadataState;
  /** Proposed and not committed, in order. */
  readonly held: HeldEntry[] = [];
  isHolding = false;
  /** What the next proposals are refused with. */
  refusal: Error | undefined;
  #nextOffset = 1;

  constructor(committed: MetadataState) {
    this.committed = committed;
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }

  get committedOffset(): number {
    return this.#nextOffset - 1 - this.held.length;
  }

  propose(records: readonly MetadataRecord[]): MetadataProposal {
    if (this.refusal !== undefined) throw this.refusal;
    const done = new Deferred<void>();
    this.held.push({ records, done });
    if (!this.isHolding) queueMicrotask(() => this.commit(1));
    return { offset: this.#nextOffset++, committed: done.promise };
  }

  /** Commits the first so many of what waits; all of it by default. */
  commit(count: number = this.held.length): void {
    for (const { records, done } of this.held.splice(0, count)) {
      this.committed.replay(records);
      done.resolve();
    }
  }

  /** Leadership went elsewhere: what was not committed is gone. */
  lose(): void {
    const lost = this.held.splice(0);
    this.#nextOffset -= lost.length;
    const error = new ProtocolError("NOT_CONTROLLER", "deposed", { context: { isIndefinite: true } });
    for (const { done } of lost) done.reject(error);
  }
}

/** Lines that the controller logged, as "level message". */
export class LinesLogger implements Logger {
  readonly lines: string[] = [];
  debug(message: string): void {
    this.lines.push(`debug ${message}`);
  }
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
  child(): Logger {
    return this;
  }
}

/** A quorum that does what it is told. */
class ObedientQuorum implements VoterControl {
  leader: PeerAddress | undefined;
  readonly changes: VoterChange[] = [];
  readonly view: QuorumView = { leaderId: nodeId(1), epoch: 7, commitOffset: 40, replicas: [] };
  describe(): QuorumView {
    return this.view;
  }
  changeVoters(change: VoterChange): Promise<void> {
    this.changes.push(change);
    return Promise.resolve();
  }
  readBarrier(): Promise<number> {
    return Promise.resolve(41);
  }
}

/** One controller, its log, and brokers that talk to it, in virtual time. */
export class ControllerBench {
  readonly scheduler = new Scheduler();
  readonly clock = new SimClock({}, { scheduler: this.scheduler });
  readonly committed = new MetadataState();
  readonly log = new HeldLog(this.committed);
  readonly quorum = new ObedientQuorum();
  readonly logger = new LinesLogger();
  /** Node ids whose processes are gone: probes of them are refused. */
  readonly gone = new Set<NodeId>();
  readonly probes: string[] = [];
  checkpoint: OffsetHash | undefined;
  controller: Controller;
  readonly #options: Partial<ControllerOptions>;

  constructor(options: Partial<ControllerOptions> = {}) {
    this.#options = options;
    this.controller = this.#makeController();
  }

  /** Active, with brokers 1 to `count` unfenced. */
  static async of(count: number, options: Partial<ControllerOptions> = {}): Promise<BenchWithBrokers> {
    const bench = new ControllerBench(options);
    bench.controller.activate(1);
    const brokers = Array.from({ length: count }, (_, index) => new BenchBroker(bench, index + 1));
    for (const broker of brokers) broker.connect();
    await bench.advance(1);
    return { bench, brokers };
  }

  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  advance(ms: number): Promise<void> {
    return this.scheduler.advance(ms);
  }

  /** Another controller on the same committed metadata. */
  failOver(): void {
    this.controller.deactivate();
    this.log.lose();
    this.controller = this.#makeController();
    this.controller.activate(2);
  }

  /** Asks the controller; the answer is typed by the request. */
  async call<Request extends ControllerRequest>(
    request: Request,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ResponseOf<Request["type"]>> {
    return responseTo<Request["type"]>(request, await this.controller.call(request, signal));
  }

  createTopic(name: string, replicationFactor = 1): Promise<ResponseOf<"createTopics">> {
    const topic = { name, partitions: 1, replicationFactor, configs: new Map<string, string>() };
    return this.call({ type: "createTopics", topics: [topic], validateOnly: false });
  }

  /** Of the committed state; undefined: not registered. */
  isFenced(id: number): boolean | undefined {
    return this.committed.broker(nodeId(id))?.isFenced;
  }

  fencedIds(): number[] {
    return [...this.committed.brokers()].filter(({ isFenced }) => isFenced).map((broker) => broker.nodeId);
  }

  #makeController(): Controller {
    return new Controller(
      {
        nodeId: nodeId(1),
        sessionTimeoutMs: SESSION_MS,
        reconnectGraceMs: GRACE_MS,
        maxWaiting: 100,
        rules: RULES,
        leaderRebalanceIntervalMs: 0,
        ...this.#options,
      },
      {
        log: this.log,
        voters: this.quorum,
        committed: this.committed,
        clock: this.clock,
        random: new SeededRandom(1),
        logger: this.logger,
        // Deaf to its signal, as an answer that is on its way already.
        probe: async ({ nodeId: id, endpoint }) => {
          this.probes.push(endpoint);
          const isGone = this.gone.has(id);
          await this.clock.sleep(2);
          return isGone ? "refused" : "answered";
        },
        checkpoint: () => this.checkpoint,
      },
    );
  }
}

export interface BenchWithBrokers {
  readonly bench: ControllerBench;
  readonly brokers: readonly BenchBroker[];
}

/** The controller's end of a stream, as the broker sees what comes out of it. */
class BenchStream implements SessionPeer {
  readonly frames: ControllerFrame[] = [];
  isClosed = false;
  send(frame: Uint8Array): void {
    this.frames.push(decodeControllerFrame(frame));
  }
  close(): void {
    this.isClosed = true;
  }
}

let runs = 0;

/** A broker's process: registers, beats, follows the metadata; may be killed or fall silent. */
export class BenchBroker {
  readonly nodeId: NodeId;
  readonly register: RegisterFrame;
  stream = new BenchStream();
  /** What its heartbeats say, beside the broker epoch and the offset. */
  health: Partial<HeartbeatFrame> = {};
  readonly #bench: ControllerBench;
  #input: SessionInput | undefined;
  #timer: Timer | undefined;

  constructor(bench: ControllerBench, id: number, fields: Partial<RegisterFrame> = {}) {
    this.#bench = bench;
    this.nodeId = nodeId(id);
    this.register = {
      type: "register",
      nodeId: this.nodeId,
      incarnationId: `run ${++runs}`,
      directoryId: `directory of ${id}`,
      previousBrokerEpoch: undefined,
      wasCleanShutdown: false,
      host: `host-${id}`,
      port: 9092,
      peerEndpoint: `host-${id}:9093`,
      rack: null,
      brokerHost: null,
      features: SUPPORTED_FEATURES,
      listeners: [],
      ...fields,
    };
  }

  /** What the controller last told it. */
  get last(): ControllerFrame | undefined {
    return this.stream.frames.at(-1);
  }

  get brokerEpoch(): number | undefined {
    const registered = this.stream.frames.find((frame) => frame.type === "registered");
    return registered?.brokerEpoch;
  }

  /** Opens a stream to the present controller, registers, and beats from then on. */
  connect(): void {
    this.#bench.gone.delete(this.nodeId);
    this.open();
    this.send(this.register);
    this.#beatIn(0);
  }

  /** A stream, and nothing on it. */
  open(): void {
    this.stream = new BenchStream();
    this.#input = this.#bench.controller.acceptSession(this.stream);
  }

  send(frame: BrokerFrame): void {
    this.sendBytes(encodeBrokerFrame(frame));
  }

  sendBytes(bytes: Buffer): void {
    if (!this.stream.isClosed) this.#input?.onFrame(bytes);
  }

  /** One heartbeat, with what `fields` say. */
  beat(fields: Partial<HeartbeatFrame> = {}): void {
    const { brokerEpoch } = this;
    if (brokerEpoch === undefined) return;
    this.send({
      type: "heartbeat",
      brokerEpoch,
      metadataOffset: this.#bench.log.committedOffset,
      loopAgeMs: 0,
      diskAgeMs: 0,
      wantsShutdown: false,
      isDiskFull: false,
      ...this.health,
      ...fields,
    });
  }

  /** No heartbeats from now on; the stream stays open. */
  fallSilent(): void {
    this.#timer?.cancel();
  }

  /** The connection breaks, the process lives. */
  disconnect(): void {
    this.fallSilent();
    if (!this.stream.isClosed) this.#input?.onEnd();
  }

  /** The process dies. */
  kill(): void {
    this.#bench.gone.add(this.nodeId);
    this.disconnect();
  }

  #beatIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#bench.clock.setTimer(delayMs, () => {
      this.beat();
      this.#beatIn(HEARTBEAT_MS);
    });
  }
}
