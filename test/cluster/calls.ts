import type { MethodDefinition } from "@grpc/grpc-js";
import { silentLogger } from "../../src/base/logger.ts";
import { errorNameOf } from "../../src/model/error-code.ts";
import { NodeClock } from "../../src/platform/node/node-clock.ts";
import { decodeErrorDetails } from "../../src/rpc/error-details.ts";
import { passBuffer, protoService } from "../../src/rpc/load-proto.ts";
import { OK_STATUS, type RpcStatus } from "../../src/rpc/status.ts";
import type { StreamChannel } from "../../src/rpc/stream/byte-stream.ts";
import { DirectChannel } from "../../src/rpc/stream/direct-channel.ts";
import { GrpcJsChannel } from "../../src/rpc/stream/grpc-js-channel.ts";
import { fromGrpcJsStatus } from "../../src/rpc/stream/grpc-js-metadata.ts";
import { Recorder } from "../contract/byte-stream.ts";
import type { BrokerProcess } from "../../src/chaos/broker-process.ts";

export type Lane = "direct" | "grpc-js";
export const LANES: readonly Lane[] = ["direct", "grpc-js"];

/** Larger than every limit of the broker, so that it is the broker who refuses. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** Far above what any of these calls takes; a call that hangs fails by it. */
const TIMEOUT_MS = 10_000;
const METHODS = Object.entries({
  ClientService: protoService("lograft.v1.ClientService"),
  AdminService: protoService("lograft.v1.AdminService"),
});

type Fields = Readonly<Record<string, unknown>>;

/** How a call ended: its answer, or a status with the name that its details carry. */
export interface Outcome {
  readonly status: RpcStatus;
  /** Kafka name or operation code; "" when the status has no details. */
  readonly errorName: string;
  /** One for a unary call, any number for a stream. */
  readonly answers: readonly Fields[];
}

/** Every method of both services, as "Produce". */
export function methodNames(): string[] {
  return METHODS.flatMap(([, service]) => Object.keys(service));
}

/** Calls to one broker that obey no rule of the SDK: any bytes, any field, either lane. */
export class Calls {
  readonly #unary: GrpcJsChannel;
  readonly #lanes: { readonly [L in Lane]: StreamChannel };

  constructor(broker: Pick<BrokerProcess, "port">) {
    const options = { host: "127.0.0.1", port: broker.port, maxMessageBytes: MAX_MESSAGE_BYTES };
    const deps = { clock: new NodeClock(), logger: silentLogger };
    this.#unary = new GrpcJsChannel(options, deps);
    this.#lanes = { "grpc-js": this.#unary, direct: new DirectChannel(options, deps) };
  }

  close(): void {
    this.#lanes.direct.close();
    this.#unary.close();
  }

  /** One request, all answers. 64-bit fields may be given as decimal text. */
  call(name: string, request: Fields): Promise<Outcome> {
    return this.callBytes(name, definitionOf(name).requestSerialize(request));
  }

  /** The same with the request as it is on the wire. */
  callBytes(name: string, request: Buffer): Promise<Outcome> {
    const definition = definitionOf(name);
    return new Promise((resolve) => {
      const answers: Fields[] = [];
      const call = this.#unary.client.makeServerStreamRequest<Buffer, Fields>(
        definition.path,
        passBuffer,
        (bytes) => definition.responseDeserialize(bytes) as Fields,
        request,
        { deadline: Date.now() + TIMEOUT_MS },
      );
      call.on("data", (answer: Fields) => answers.push(answer));
      call.on("error", () => undefined);
      call.on("status", (status) => resolve(outcomeOf(fromGrpcJsStatus(status), answers)));
    });
  }

  /** A request as it is on the wire, without gRPC's prefix. */
  encode(name: string, request: Fields): Buffer {
    return definitionOf(name).requestSerialize(request);
  }

  /** A stream over a lane, with what the broker sends gathered. */
  stream(lane: Lane, name: string): Stream {
    return new Stream(this.#lanes[lane], definitionOf(name));
  }

  /** The one result of a Produce with one batch. */
  async produce(partition: Fields, request: Fields = {}): Promise<PartitionResult> {
    const { status, answers } = await this.call("ProduceUnary", {
      acks: -1,
      partitions: [{ leaderEpoch: -1, partition: 0, ...partition }],
      ...request,
    });
    return resultOf(status, answers, "results");
  }

  /** The one result of a method whose answer is a list. */
  async item(name: string, request: Fields, list: string): Promise<PartitionResult> {
    const { status, answers } = await this.call(name, request);
    return resultOf(status, answers, list);
  }
}

/** The fields that results of partitions and topics share, with the error by its name. */
export interface PartitionResult extends Fields {
  readonly error: string;
  readonly errorMessage: string;
}

/** A bidirectional stream of messages as plain objects, or of bytes. */
export class Stream extends Recorder {
  readonly #definition: MethodDefinition<object, object>;

  constructor(channel: StreamChannel, definition: MethodDefinition<object, object>) {
    super(channel.openStream(definition.path, { timeoutMs: TIMEOUT_MS }));
    this.#definition = definition;
  }

  send(request: Fields): void {
    this.stream.send([this.#definition.requestSerialize(request)]);
  }

  /** Answer number `index`, waited for. */
  async answer(index: number): Promise<Fields> {
    await this.waitFor(index + 1);
    const bytes = this.messages[index] ?? Buffer.alloc(0);
    return this.#definition.responseDeserialize(bytes) as Fields;
  }

  /** Half-closes, and waits for the end. */
  async outcome(): Promise<Outcome> {
    const status = await this.closed;
    return outcomeOf(
      status,
      this.messages.map((bytes) => this.#definition.responseDeserialize(bytes) as Fields),
    );
  }
}

function definitionOf(name: string): MethodDefinition<object, object> {
  for (const [, service] of METHODS) {
    const definition = service[name] as MethodDefinition<object, object> | undefined;
    if (definition !== undefined) return definition;
  }
  throw new Error(`no method ${name}`);
}

function outcomeOf(status: RpcStatus, answers: readonly Fields[]): Outcome {
  const info = status.details === undefined ? undefined : decodeErrorDetails(status.details);
  return { status, errorName: info?.errorName ?? "", answers };
}

function resultOf(status: RpcStatus, answers: readonly Fields[], list: string): PartitionResult {
  const [answer] = answers;
  if (status.code !== OK_STATUS.code || answer === undefined) {
    throw new Error(`the call failed with status ${status.code}: ${status.message}`);
  }
  const value = answer[list];
  const [item] = (Array.isArray(value) ? value : [value]) as readonly Fields[];
  return {
    ...item,
    error: errorNameOf(Number(item?.["errorCode"])),
    errorMessage: String(item?.["errorMessage"]),
  };
}
