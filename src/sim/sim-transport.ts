import { deadlineSignal } from "../base/abort.ts";
import { ByteBudget } from "../base/byte-budget.ts";
import { operationError } from "../base/errors.ts";
import { silentLogger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { ClientTransport, UnaryCallOptions, UnaryMethod, UnaryMethods } from "../client/transport.ts";
import { errorCodeOf } from "../model/error-code.ts";
import type { FindCoordinatorRequest, FindCoordinatorResponse } from "../rpc/group-messages.ts";
import type { MetadataRequest, MetadataResponse } from "../rpc/messages.ts";
import { FETCH_METHOD, MEMBERSHIP_METHOD, PRODUCE_METHOD } from "../rpc/method-names.ts";
import type { ByteStream } from "../rpc/stream/byte-stream.ts";
import { listOffsetsAnswer, metadataAnswer } from "../server/grpc/client-answers.ts";
import { Draining } from "../server/grpc/draining.ts";
import { fetchStreamHandler } from "../server/grpc/fetch-stream.ts";
import * as groups from "../server/grpc/group-answers.ts";
import type { Caller } from "../server/grpc/group-answers.ts";
import { membershipStreamHandler } from "../server/grpc/membership-stream.ts";
import { produceStreamHandler } from "../server/grpc/produce-stream.ts";
import { connectionError } from "./sim-connection.ts";
import type { SimClock } from "./sim-clock.ts";
import { endpointOf } from "./sim-network.ts";
import type { NetworkHost, SimNetwork } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";
import { request } from "./sim-request.ts";
import { openSimStream } from "./sim-stream.ts";
import type { StreamService } from "./sim-stream.ts";

type Handlers = { readonly [M in UnaryMethod]?: Answer<M> };
type Answer<M extends UnaryMethod> = (
  broker: Broker,
  request: UnaryMethods[M]["request"],
  caller: Caller,
) => Promise<UnaryMethods[M]["response"]>;

/** The calls that producers, consumers and members of groups make, and who looks after groups. */
const UNARY: Handlers = {
  Metadata: metadataWithMachines,
  InitProducer: (broker) => broker.initProducer(),
  ListOffsets: listOffsetsAnswer,
  FindCoordinator: coordinatorOnItsMachine,
  ConsumerGroupHeartbeat: groups.consumerGroupHeartbeatAnswer,
  JoinGroup: groups.joinGroupAnswer,
  SyncGroup: groups.syncGroupAnswer,
  Heartbeat: groups.heartbeatAnswer,
  LeaveGroup: groups.leaveGroupAnswer,
  CommitOffsets: groups.commitOffsetsAnswer,
  FetchOffsets: groups.fetchOffsetsAnswer,
  DescribeGroups: groups.describeGroupsAnswer,
};
const SUCCESS = errorCodeOf("NONE");
const WINDOW_BYTES = 1024 * 1024;
/** Of all streams to a broker; nobody sends so much here. */
const BUDGET_BYTES = 2 ** 40;

/**
 * The SDK's way to simulated brokers: its calls and streams over the simulated network, to the very handlers that serve
 * them in production. Left out is what is below: HTTP/2 and the bytes of unary messages.
 */
export class SimTransport implements ClientTransport {
  readonly #network: SimNetwork<SimProcess>;
  readonly #clock: SimClock;
  readonly #from: NetworkHost;
  readonly #streams = new Set<ByteStream>();

  constructor(deps: {
    readonly network: SimNetwork<SimProcess>;
    readonly clock: SimClock;
    readonly from: NetworkHost;
  }) {
    this.#network = deps.network;
    this.#clock = deps.clock;
    this.#from = deps.from;
  }

  async call<M extends UnaryMethod>(
    address: string,
    method: M,
    message: UnaryMethods[M]["request"],
    { timeoutMs, signal }: UnaryCallOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    const answer: Answer<M> | undefined = UNARY[method];
    if (answer === undefined) throw operationError("INVALID_ARGUMENT", `${method} is not simulated`);
    using deadline = deadlineSignal(this.#clock, timeoutMs, signal);
    const host = `client${this.#from.machine}`;
    const serve = async ({ broker }: SimProcess, gone: AbortSignal): Promise<UnaryMethods[M]["response"]> => {
      if (broker === undefined) throw connectionError(address, "refused");
      return answer(broker, message, { host, signal: gone });
    };
    return await request(this.#network, this.#from, address, serve, deadline.signal);
  }

  openStream(address: string, method: string): ByteStream {
    const stream = openSimStream(
      { endpoint: address, method },
      { network: this.#network, from: this.#from, serviceOf: (process) => serviceOf(process, method) },
    );
    this.#streams.add(stream);
    stream.signal.addEventListener("abort", () => this.#streams.delete(stream), { once: true });
    return stream;
  }

  close(): Promise<void> {
    for (const stream of this.#streams) stream.cancel();
    return Promise.resolve();
  }
}

function serviceOf({ broker }: SimProcess, method: string): StreamService | undefined {
  if (broker === undefined) return undefined;
  if (method === FETCH_METHOD) return { handler: fetchStreamHandler({ broker }) };
  if (method === MEMBERSHIP_METHOD) {
    const deps = { broker, logger: silentLogger, draining: new Draining() };
    return { handler: membershipStreamHandler(deps) };
  }
  if (method !== PRODUCE_METHOD) throw operationError("INVALID_ARGUMENT", `${method} is not simulated`);
  const budget = new ByteBudget(BUDGET_BYTES);
  const deps = { broker, budget, logger: silentLogger, draining: new Draining() };
  return { handler: produceStreamHandler({ windowBytes: WINDOW_BYTES }, deps), budget };
}

/** Brokers are where the network knows them. */
async function metadataWithMachines(broker: Broker, message: MetadataRequest): Promise<MetadataResponse> {
  const answer = await metadataAnswer(broker, message);
  return { ...answer, brokers: answer.brokers.map((known) => ({ ...known, ...placeOf(known.nodeId) })) };
}

/** The same for coordinators. */
async function coordinatorOnItsMachine(
  broker: Broker,
  message: FindCoordinatorRequest,
): Promise<FindCoordinatorResponse> {
  const { coordinators } = await groups.findCoordinatorAnswer(broker, message);
  return {
    coordinators: coordinators.map((one) =>
      one.errorCode === SUCCESS ? { ...one, ...placeOf(one.nodeId) } : one,
    ),
  };
}

function placeOf(nodeId: number): { readonly host: string; readonly port: number } {
  const [host = "", port = ""] = endpointOf(nodeId - 1).split(":");
  return { host, port: Number(port) };
}
