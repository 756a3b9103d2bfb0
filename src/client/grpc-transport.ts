import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { MEMBERSHIP_METHOD } from "../rpc/method-names.ts";
import { REQUEST_ID_KEY, RequestIds } from "../rpc/request-id.ts";
import type { ByteStream, RpcMetadata, StreamChannel } from "../rpc/stream/byte-stream.ts";
import { DirectChannel } from "../rpc/stream/direct-channel.ts";
import { GrpcJsChannel } from "../rpc/stream/grpc-js-channel.ts";
import { callUnary, unaryMethod } from "../rpc/unary-client.ts";
import { MembershipChannels } from "./membership-channels.ts";
import { UNARY_SERVICES } from "./transport.ts";
import type { ClientTransport, UnaryCallOptions, UnaryMethod, UnaryMethods } from "./transport.ts";

/** How streams of records travel; all else always takes grpc-js, which is not on the data path. */
export type ClientLane = "direct" | "grpc-js";

export interface GrpcTransportOptions {
  readonly lane: ClientLane;
  readonly clientId: string;
  /** Largest message, either way. Default 64 MiB: a batch beyond the usual bounds must still be readable. */
  readonly maxMessageBytes?: number;
}

interface BrokerChannels {
  readonly unary: GrpcJsChannel;
  readonly streams: StreamChannel;
  readonly memberships: MembershipChannels;
}

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const DEFAULT_PORT = 9092;
/** A broker that says nothing is given up in the time in which the cluster gives it up: its session is 3 s. */
const KEEPALIVE = { intervalMs: 1000, timeoutMs: 1500 };
/** Brokers of one cluster; one address more is a mistake or an attack on the process's sockets. */
const MAX_ADDRESSES = 1000;

/** The real way to brokers: channels of each kind to each address, made when first needed. */
export class GrpcTransport implements ClientTransport {
  readonly #options: GrpcTransportOptions;
  readonly #deps: { readonly clock: Clock; readonly logger: Logger };
  readonly #requestIds: RequestIds;
  readonly #channels = new Map<string, BrokerChannels>();
  #isClosed = false;

  constructor(
    options: GrpcTransportOptions,
    deps: { readonly clock: Clock; readonly logger: Logger; readonly random: Random },
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#requestIds = RequestIds.ofClient(deps.random);
  }

  call<M extends UnaryMethod>(
    address: string,
    method: M,
    request: UnaryMethods[M]["request"],
    options: UnaryCallOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    const definition = unaryMethod<UnaryMethods[M]["request"], UnaryMethods[M]["response"]>(
      `lograft.v1.${UNARY_SERVICES[method]}`,
      method,
    );
    const { unary } = this.#channelsTo(address);
    return callUnary(unary, definition, request, { ...options, metadata: this.#newMetadata() });
  }

  openStream(address: string, method: string): ByteStream {
    const { memberships, streams } = this.#channelsTo(address);
    // Some hundred bytes every few seconds: the direct lane would win nothing and does not serve it.
    const lane = method === MEMBERSHIP_METHOD ? memberships : streams;
    return lane.openStream(method, { metadata: this.#newMetadata() });
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const { unary, streams, memberships } of this.#channels.values()) {
      memberships.close();
      streams.close();
      unary.close();
    }
    this.#channels.clear();
    return Promise.resolve();
  }

  #newMetadata(): RpcMetadata {
    return new Map([
      ["lograft-client-id", this.#options.clientId],
      [REQUEST_ID_KEY, this.#requestIds.next()],
    ]);
  }

  #channelsTo(address: string): BrokerChannels {
    if (this.#isClosed) throw operationError("CLOSED", "the client is closed");
    const known = this.#channels.get(address);
    if (known !== undefined) return known;
    if (this.#channels.size >= MAX_ADDRESSES) {
      throw operationError("INVALID_ARGUMENT", `more than ${MAX_ADDRESSES} broker addresses in one cluster`);
    }
    const options = {
      ...parseAddress(address),
      maxMessageBytes: this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
    };
    const unary = new GrpcJsChannel(options, this.#deps);
    const streams =
      this.#options.lane === "grpc-js"
        ? unary
        : new DirectChannel({ ...options, keepalive: KEEPALIVE }, this.#deps);
    const memberships = new MembershipChannels({ newChannel: () => new GrpcJsChannel(options, this.#deps) });
    const channels = { unary, streams, memberships };
    this.#channels.set(address, channels);
    return channels;
  }
}

/** "host", "host:port", "[v6]", "[v6]:port". @throws LograftError INVALID_ARGUMENT. */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(address.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw operationError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(address)} is not a broker address; write host:port`,
    );
  }
  return { host, port };
}
