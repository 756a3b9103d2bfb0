import { abortReason } from "../../src/base/abort.ts";
import { operationError } from "../../src/base/errors.ts";
import type { ClientTransport, UnaryCallOptions, UnaryMethod, UnaryMethods } from "../../src/client/index.ts";
import { errorCodeOf, type ErrorName } from "../../src/model/error-code.ts";
import { baseOffsetOf, lastOffsetOf, maxTimestampOf } from "../../src/model/record-batch.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { CreateTopicsRequest } from "../../src/rpc/admin-messages.ts";
import { decodeFetchStreamRequest, encodeFetchStreamResponse } from "../../src/rpc/fetch-codec.ts";
import type {
  FetchPartition,
  FetchStreamRequest,
  ListOffsetsRequest,
  MetadataRequest,
  MetadataResponse,
  ProduceRequest,
} from "../../src/rpc/messages.ts";
import { decodeProduceRequest, encodeProduceResponse } from "../../src/rpc/produce-codec.ts";
import { FakeLog, type FakeAppend } from "./fake-log.ts";
import { FakeStream, type FakeStreamServer } from "./fake-stream.ts";

/** What a fake broker does with a produce request. */
export type ProduceFate =
  | "ok"
  /** Appended, but the stream is cut before the answer. */
  | "lose-answer"
  /** The stream is cut before the append. */
  | "lose-request"
  /** Appended, never answered; the stream stays. */
  | "silence"
  | { readonly error: ErrorName; readonly appends?: boolean };

export interface FakeClusterOptions {
  readonly topics: Readonly<Record<string, number>>;
  readonly brokers?: number;
  readonly latencyMs?: number;
  readonly windowBytes?: number;
  readonly maxMessageBytes?: number;
}

interface FetchState {
  readonly partitions: Map<string, { request: FetchPartition; offset: number }>;
  credit: number;
  maxMessageBytes: number;
  fromFollower: boolean;
}

/** A cluster of fake brokers behind the transport port: real messages, real batches, virtual time, faults on demand. */
export class FakeCluster implements ClientTransport, FakeStreamServer {
  readonly logs = new Map<string, FakeLog>();
  readonly streams = new Set<FakeStream>();
  readonly produced: ProduceRequest[] = [];
  readonly fetchRequests: FetchStreamRequest[] = [];
  readonly calls: string[] = [];
  readonly #topics = new Map<string, number>();
  readonly #fetches = new Map<FakeStream, FetchState>();
  readonly #clock: Clock;
  readonly #options: FakeClusterOptions;
  /** Decides over each partition of each produce request. */
  produceFate: (request: ProduceRequest) => ProduceFate = () => "ok";
  /** Thrown by unary calls to the named method. */
  callError: (method: UnaryMethod, address: string) => Error | undefined = () => undefined;
  /** Answers of unary calls that the fake does not know by itself. */
  readonly answers: { [M in UnaryMethod]?: (request: unknown, address: string) => unknown } = {};
  /** Takes the streams of methods that the fake does not know by itself. */
  otherStreams: FakeStreamServer | undefined;
  /** Brokers that refuse connections. */
  readonly down = new Set<number>();
  /** Brokers that are behind; undefined: all are. */
  behind: ReadonlySet<number> | undefined;
  /** Leaders that the metadata of those who are behind still name although they are no longer. */
  readonly staleLeaders = new Map<string, { leaderId: number; leaderEpoch: number }>();
  /** Of topics that were deleted and made again. */
  readonly topicIds = new Map<string, Buffer>();
  /** Where brokers are. */
  readonly racks = new Map<number, string>();
  /** In-sync replicas, by "topic-partition", where there are more than the leader. */
  readonly inSync = new Map<string, readonly number[]>();
  /** When false, fetch streams only take requests. */
  servesFetch = true;
  unansweredBytesMax = 0;
  isClosed = false;
  #nextProducerId = 1000;
  readonly #unanswered = new Map<FakeStream, number>();

  constructor(options: FakeClusterOptions, deps: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = deps.clock;
    for (const [topic, partitions] of Object.entries(options.topics)) this.addTopic(topic, partitions);
  }

  addTopic(topic: string, partitions: number): void {
    const brokers = this.#options.brokers ?? 1;
    this.#topics.set(topic, partitions);
    for (let partition = 0; partition < partitions; partition++) {
      const key = `${topic}-${partition}`;
      if (!this.logs.has(key)) this.logs.set(key, new FakeLog(partition % brokers));
    }
  }

  log(topic: string, partition: number): FakeLog {
    const log = this.logs.get(`${topic}-${partition}`);
    if (log === undefined) throw new Error(`no log ${topic}-${partition}`);
    return log;
  }

  moveLeader(topic: string, partition: number, leaderId: number): void {
    const log = this.log(topic, partition);
    log.leaderId = leaderId;
    log.leaderEpoch++;
  }

  cutStreams(): void {
    for (const stream of this.streams) stream.close();
  }

  async call<M extends UnaryMethod>(
    address: string,
    method: M,
    request: UnaryMethods[M]["request"],
    options: UnaryCallOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    this.calls.push(method);
    await this.#clock.sleep(this.#latency, options.signal);
    if (options.signal?.aborted === true) throw abortReason(options.signal);
    const error = this.callError(method, address);
    if (error !== undefined) throw error;
    if (this.down.has(nodeOf(address))) {
      throw operationError("CONNECTION_FAILED", `${address} is down`, { retriable: true });
    }
    const answer = this.answers[method];
    if (answer !== undefined) return answer(request, address) as UnaryMethods[M]["response"];
    return this.#answer(method, request, address) as UnaryMethods[M]["response"];
  }

  openStream(address: string, method: string): FakeStream {
    const stream = new FakeStream(
      { method, peer: address, latencyMs: this.#latency },
      { clock: this.#clock, server: this },
    );
    this.streams.add(stream);
    if (this.down.has(nodeOf(address))) {
      this.#clock.setTimer(this.#latency, () => stream.close());
    } else if (method.endsWith("/Produce")) {
      const windowBytes = this.#options.windowBytes ?? 1 << 20;
      stream.answer(encodeProduceResponse({ correlationId: 0, results: [], windowBytes, throttleTimeMs: 0 }));
    } else if (method.endsWith("/Fetch")) {
      this.#fetches.set(stream, {
        partitions: new Map(),
        credit: 0,
        maxMessageBytes: 1 << 20,
        fromFollower: false,
      });
    }
    return stream;
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.cutStreams();
    return Promise.resolve();
  }

  onGone(stream: FakeStream): void {
    this.streams.delete(stream);
    this.#fetches.delete(stream);
    this.#unanswered.delete(stream);
    this.otherStreams?.onGone(stream);
  }

  onMessage(stream: FakeStream, message: Buffer): void {
    if (stream.method.endsWith("/Produce"))
      this.#onProduce(stream, decodeProduceRequest(message), message.length);
    else if (stream.method.endsWith("/Fetch")) this.#onFetch(stream, decodeFetchStreamRequest(message));
    else this.otherStreams?.onMessage(stream, message);
  }

  /** Sends what fetch streams may get. */
  serveFetches(): void {
    for (const [stream, state] of this.#fetches) this.#serve(stream, state);
  }

  /** Sends something to fetch streams that carry the partition, whatever was asked for. */
  inject(
    topic: string,
    partition: number,
    data: { readonly error?: ErrorName; readonly records?: Buffer },
  ): void {
    for (const [stream, state] of this.#fetches) {
      const entry = state.partitions.get(`${topic}-${partition}`);
      if (entry === undefined) continue;
      this.#sendData(stream, entry.request, data.error ?? "NONE", data.records ?? Buffer.alloc(0));
      if (data.error !== undefined) state.partitions.delete(`${topic}-${partition}`);
    }
  }

  /** Brokers whose fetch streams carry the partition. */
  carriers(topic: string, partition: number): number[] {
    return [...this.#fetches]
      .filter(([, { partitions }]) => partitions.has(`${topic}-${partition}`))
      .map(([{ peer }]) => nodeOf(peer));
  }

  get #latency(): number {
    return this.#options.latencyMs ?? 1;
  }

  #answer(method: UnaryMethod, request: unknown, address: string): unknown {
    switch (method) {
      case "Metadata":
        return this.#metadata(request as MetadataRequest, this.behind?.has(nodeOf(address)) ?? true);
      case "InitProducer":
        return { producerId: this.#nextProducerId++, producerEpoch: 0 };
      case "ListOffsets":
        return this.#listOffsets(request as ListOffsetsRequest);
      case "CreateTopics":
        return {
          results: (request as CreateTopicsRequest).topics.map(({ name, partitions }) => {
            const exists = this.#topics.has(name);
            if (!exists) this.addTopic(name, partitions);
            return {
              name,
              topicId: Buffer.alloc(16, 1),
              errorCode: exists ? errorCodeOf("TOPIC_ALREADY_EXISTS") : 0,
              errorMessage: exists ? `topic ${name} exists` : "",
              partitions,
              replicationFactor: 1,
            };
          }),
        };
      default:
        throw new Error(`the fake has no ${method}`);
    }
  }

  #metadata(request: MetadataRequest, isBehind: boolean): MetadataResponse {
    const brokers = Array.from({ length: this.#options.brokers ?? 1 }, (_, nodeId) => ({
      nodeId,
      host: `b${nodeId}`,
      port: 9092,
      rack: this.racks.get(nodeId) ?? "",
    }));
    const topics = request.topics.map((name) => {
      const count = this.#topics.get(name);
      return {
        errorCode: count === undefined ? errorCodeOf("UNKNOWN_TOPIC_OR_PARTITION") : 0,
        errorMessage: "",
        name,
        topicId: this.topicIds.get(name) ?? Buffer.alloc(16, 1),
        isInternal: false,
        maxMessageBytes: this.#options.maxMessageBytes ?? 1 << 20,
        partitions: Array.from({ length: count ?? 0 }, (_, partition) => {
          const stale = isBehind ? this.staleLeaders.get(`${name}-${partition}`) : undefined;
          const { leaderId, leaderEpoch } = stale ?? this.log(name, partition);
          const isr = this.inSync.get(`${name}-${partition}`) ?? [leaderId];
          return { errorCode: 0, partition, leaderId, leaderEpoch, replicas: isr, isr };
        }),
      };
    });
    return { clusterId: "fake", controllerId: 0, brokers, topics, features: {}, maxBatchBytes: 1 << 20 };
  }

  #listOffsets({ partitions }: ListOffsetsRequest): unknown {
    return {
      results: partitions.map(({ topic, partition, timestampMs }) => {
        const log = this.log(topic, partition);
        let offset = timestampMs === -1 ? log.endOffset : log.startOffset;
        if (timestampMs >= 0) {
          const found = log.batches.find((batch) => maxTimestampOf(batch) >= timestampMs);
          offset = found === undefined ? -1 : baseOffsetOf(found);
        }
        return { topic, partition, errorCode: 0, errorMessage: "", offset, timestampMs: -1, leaderEpoch: 0 };
      }),
    };
  }

  #onProduce(stream: FakeStream, request: ProduceRequest, sizeBytes: number): void {
    this.produced.push(request);
    const unanswered = (this.#unanswered.get(stream) ?? 0) + (request.acks === 0 ? 0 : sizeBytes);
    this.#unanswered.set(stream, unanswered);
    this.unansweredBytesMax = Math.max(this.unansweredBytesMax, unanswered);
    const fate = this.produceFate(request);
    if (fate === "lose-request") {
      stream.close();
      return;
    }
    const results = request.partitions.map(({ topic, partition, records }) => {
      const log = this.log(topic, partition);
      let error: ErrorName = "NONE";
      let append: FakeAppend = { error, baseOffset: -1, duplicate: false };
      if (`b${log.leaderId}:9092` !== stream.peer) error = "NOT_LEADER_OR_FOLLOWER";
      else if (typeof fate === "object" && fate.appends !== true) error = fate.error;
      else append = log.append(records);
      if (error === "NONE") error = append.error;
      if (error === "NONE" && typeof fate === "object") error = fate.error;
      return {
        topic,
        partition,
        errorCode: errorCodeOf(error),
        errorMessage: "",
        baseOffset: error === "NONE" ? append.baseOffset : -1,
        logAppendTimeMs: -1,
        logStartOffset: 0,
        leaderEpoch: log.leaderEpoch,
        durability: 3,
        replicas: 1,
        duplicate: append.duplicate,
        leaderId: log.leaderId,
      };
    });
    if (fate === "lose-answer") {
      stream.close();
      return;
    }
    this.serveFetches();
    if (request.acks === 0 || fate === "silence") return;
    // The bytes count until the answer is on its way.
    this.#clock.defer(() => {
      this.#unanswered.set(stream, (this.#unanswered.get(stream) ?? 0) - sizeBytes);
      const { correlationId } = request;
      stream.answer(encodeProduceResponse({ correlationId, results, windowBytes: 0, throttleTimeMs: 0 }));
    });
  }

  #onFetch(stream: FakeStream, request: FetchStreamRequest): void {
    this.fetchRequests.push(request);
    const state = this.#fetches.get(stream);
    if (state === undefined) return;
    state.credit += request.creditBytes;
    state.maxMessageBytes = request.options?.maxMessageBytes ?? state.maxMessageBytes;
    state.fromFollower = request.options?.fromFollower ?? state.fromFollower;
    for (const add of request.add)
      state.partitions.set(`${add.topic}-${add.partition}`, { request: add, offset: add.offset });
    for (const { topic, partition } of request.remove) state.partitions.delete(`${topic}-${partition}`);
    this.#serve(stream, state);
  }

  #serve(stream: FakeStream, state: FetchState): void {
    if (!this.servesFetch) return;
    for (const [key, entry] of state.partitions) {
      const log = this.logs.get(key);
      if (log === undefined) continue;
      const isFollower = state.fromFollower && this.inSync.get(key)?.includes(nodeOf(stream.peer)) === true;
      if (`b${log.leaderId}:9092` !== stream.peer && !isFollower) {
        state.partitions.delete(key);
        this.#sendData(stream, entry.request, "NOT_LEADER_OR_FOLLOWER", Buffer.alloc(0));
        continue;
      }
      if (entry.offset < log.startOffset || entry.offset > log.endOffset) {
        state.partitions.delete(key);
        this.#sendData(stream, entry.request, "OFFSET_OUT_OF_RANGE", Buffer.alloc(0));
        continue;
      }
      for (const batch of log.from(entry.offset)) {
        if (state.credit <= 0) return;
        state.credit -= batch.length;
        entry.offset = lastOffsetOf(batch) + 1;
        this.#sendData(stream, entry.request, "NONE", Buffer.from(batch));
      }
    }
  }

  #sendData(stream: FakeStream, request: FetchPartition, error: ErrorName, records: Buffer): void {
    const { topic, partition, generation } = request;
    const log = this.log(topic, partition);
    stream.answer(
      encodeFetchStreamResponse({
        partitions: [
          {
            topic,
            partition,
            generation,
            errorCode: errorCodeOf(error),
            errorMessage: "",
            highWatermark: log.endOffset,
            logStartOffset: log.startOffset,
            leaderEpoch: log.leaderEpoch,
            records,
            leaderId: log.leaderId,
          },
        ],
      }),
    );
  }
}

function nodeOf(address: string): number {
  return Number(/^b(\d+):/.exec(address)?.[1] ?? 0);
}
