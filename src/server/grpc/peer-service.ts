import { LograftError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { PeerEndpoint } from "../../broker/peer-endpoint.ts";
import type { Clock } from "../../platform/clock.ts";
import { statusOnStream } from "../../rpc/error-details.ts";
import {
  CONTROL_METHOD,
  HELLO_METHOD,
  RAFT_METHOD,
  REPLICATE_METHOD,
  SESSION_METHOD,
} from "../../rpc/method-names.ts";
import { decodePayload, encodePayload } from "../../rpc/payload-codec.ts";
import type { PeerHeaders } from "../../rpc/peer-headers.ts";
import { PEER_MAX_WAITING_BYTES } from "../../rpc/peer-limits.ts";
import { decodeNodeHello, encodeNodeHello } from "../../rpc/peer-messages.ts";
import { requestIdOf } from "../../rpc/request-id.ts";
import { rpcStatus, type RpcStatus } from "../../rpc/status.ts";
import type { ByteStream, StreamHandler } from "../../rpc/stream/byte-stream.ts";
import { serveOnce } from "../../rpc/stream/serve-once.ts";
import { stoppingError, type Draining } from "./draining.ts";
import { PeerAdmission } from "./peer-admission.ts";

/** How long the one message of a call may take to come. */
const REQUEST_TIMEOUT_MS = 10_000;

export interface PeerServiceDeps {
  readonly endpoint: PeerEndpoint;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly draining: Draining;
}

/** The methods of `PeerService` by name; each serves both lanes. Unary ones are streams of one message here. */
export function peerHandlers(deps: PeerServiceDeps): ReadonlyMap<string, StreamHandler> {
  const service = new PeerService(deps);
  return new Map([
    [HELLO_METHOD, service.admitted((stream, from) => service.hello(stream, from))],
    [CONTROL_METHOD, service.admitted((stream) => service.control(stream))],
    [RAFT_METHOD, service.admitted((stream, from) => service.raft(stream, from))],
    [SESSION_METHOD, service.admitted((stream) => service.session(stream))],
    [REPLICATE_METHOD, service.admitted((stream) => service.replicate(stream))],
  ]);
}

class PeerService {
  readonly #endpoint: PeerEndpoint;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #draining: Draining;
  readonly #admission: PeerAdmission;

  constructor(deps: PeerServiceDeps) {
    this.#endpoint = deps.endpoint;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#draining = deps.draining;
    this.#admission = new PeerAdmission(deps);
  }

  /** Before anything of a call is read. */
  admitted(serve: (stream: ByteStream, from: PeerHeaders) => void): StreamHandler {
    return (stream) => {
      const from = this.#admission.admit(stream);
      if (from !== undefined) serve(stream, from);
    };
  }

  hello(stream: ByteStream, from: PeerHeaders): void {
    this.#once(stream, async (request) => {
      const hello = decodeNodeHello(request);
      if (hello.nodeId !== from.nodeId) {
        const text = `a hello of node ${hello.nodeId} came with the metadata of node ${from.nodeId}`;
        throw new LograftError("INVALID_ARGUMENT", text);
      }
      return encodeNodeHello(this.#endpoint.hello(hello));
    });
  }

  control(stream: ByteStream): void {
    this.#once(stream, async (request) => [await this.#endpoint.handleCall(request, stream.signal)]);
  }

  raft(stream: ByteStream, from: PeerHeaders): void {
    stream.onMessage((message) => guarded(stream, () => this.#endpoint.receive(decodePayload(message))));
    stream.onEnd(() => stream.end());
    this.#untilClosed(stream, () => this.#endpoint.peerClosed(from.nodeId));
    // The RaftAck, which has no fields: the sender may count on this stream.
    stream.send([]);
  }

  session(stream: ByteStream): void {
    let isClosedHere = false;
    const accepted = this.#endpoint.acceptSession({
      send: (frame) => {
        if (stream.bufferedBytes + frame.byteLength <= PEER_MAX_WAITING_BYTES) {
          stream.send(encodePayload([frame]));
        } else {
          stream.cancel(rpcStatus("RESOURCE_EXHAUSTED", "the broker does not read its session"));
        }
      },
      close: () => {
        isClosedHere = true;
        stream.end();
      },
    });
    stream.onMessage((message) => guarded(stream, () => accepted.onFrame(decodePayload(message))));
    stream.onEnd(() => stream.end());
    this.#untilClosed(stream, () => {
      if (!isClosedHere) accepted.onEnd();
    });
  }

  replicate(stream: ByteStream): void {
    let isClosedHere = false;
    guarded(stream, () => {
      const input = this.#endpoint.acceptReplica({
        send: (chunks) => {
          if (isClosedHere) return false;
          if (stream.bufferedBytes <= PEER_MAX_WAITING_BYTES) return stream.send(encodePayload(chunks));
          stream.cancel(rpcStatus("RESOURCE_EXHAUSTED", "the follower does not read its replica stream"));
          return false;
        },
        close: (error) => {
          isClosedHere = true;
          stream.end(error === undefined ? undefined : statusOnStream(error, stream));
        },
      });
      stream.onMessage((message) => guarded(stream, () => input.onFrame(decodePayload(message))));
      stream.onDrain(() => {
        if (!isClosedHere) guarded(stream, () => input.onDrain());
      });
      stream.onEnd(() => stream.end());
      this.#untilClosed(stream, () => {
        if (!isClosedHere) input.onEnd();
      });
    });
  }

  /** Ends a long stream when the broker stops, and calls back when it is over. */
  #untilClosed(stream: ByteStream, onClose: () => void): void {
    const forget = this.#draining.onDrain(() => stream.end(statusOnStream(stoppingError(), stream)));
    stream.onClose(() => {
      forget();
      onClose();
    });
  }

  #once(stream: ByteStream, serve: (request: Buffer) => Promise<readonly Uint8Array[]>): void {
    serveOnce(
      { requestTimeoutMs: REQUEST_TIMEOUT_MS },
      {
        clock: this.#clock,
        serve: async (message) => encodePayload(await serve(decodePayload(message))),
        statusOf: (error) => this.#statusOf(error, stream),
      },
    )(stream);
  }

  #statusOf(error: unknown, stream: ByteStream): RpcStatus {
    if (!(error instanceof LograftError)) {
      this.#logger.error("a call of a peer failed", {
        method: stream.method,
        peer: stream.peer,
        requestId: requestIdOf(stream),
        err: error,
      });
      return statusOnStream(error, stream);
    }
    const leaderId: unknown = error.context["leaderId"];
    return statusOnStream(error, stream, typeof leaderId === "number" ? leaderId : undefined);
  }
}

/** Runs what handles one message. An error of ours ends the stream it came on, and only that. */
function guarded(stream: ByteStream, handle: () => void): void {
  try {
    handle();
  } catch (error: unknown) {
    if (!(error instanceof LograftError)) throw error;
    stream.cancel(statusOnStream(error, stream));
  }
}
