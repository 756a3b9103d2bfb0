import { operationError } from "../../base/errors.ts";
import type { LogFields, Logger } from "../../base/logger.ts";
import type { Broker } from "../../broker/broker.ts";
import { errorCodeOf } from "../../model/error-code.ts";
import { statusOnStream } from "../../rpc/error-details.ts";
import type { ConsumerGroupHeartbeatRequest } from "../../rpc/group-messages.ts";
import { decodeHeartbeatRequest, encodeHeartbeatResponse } from "../../rpc/membership-codec.ts";
import { requestIdOf } from "../../rpc/request-id.ts";
import { OK_STATUS } from "../../rpc/status.ts";
import type { ByteStream, StreamHandler } from "../../rpc/stream/byte-stream.ts";
import { stoppingError } from "./draining.ts";
import type { Draining } from "./draining.ts";
import { consumerGroupHeartbeatAnswer } from "./group-answers.ts";
import { hostOfPeer } from "./peer-host.ts";

export interface MembershipDeps {
  readonly broker: Broker;
  readonly logger: Logger;
  readonly draining: Draining;
}

/** Heartbeats of one stream that wait for their turn; at this the stream is not read. */
const MAX_WAITING = 8;
const SUCCESS = errorCodeOf("NONE");

/** Serves `GroupService/Membership`: the heartbeats of one member, one after the other, in order. */
export function membershipStreamHandler(deps: MembershipDeps): StreamHandler {
  return (stream) => {
    new MembershipStream(stream, deps).start();
  };
}

/**
 * One member's stream. Between heartbeats a watch is parked at the coordinator, whose end makes the broker ask for the
 * next heartbeat. The end of the stream without a leave is reported as the loss of the member's connection.
 */
class MembershipStream {
  readonly #stream: ByteStream;
  readonly #deps: MembershipDeps;
  readonly #waiting: ConsumerGroupHeartbeatRequest[] = [];
  #member: { readonly groupId: string; readonly memberId: string } | undefined;
  /** As the coordinator said last; undefined before it took the member in, and after it left. */
  #memberEpoch: number | undefined;
  #watch: { readonly memberEpoch: number; readonly ending: AbortController } | undefined;
  #stopDraining: (() => void) | undefined;
  #isBusy = false;
  /** The client does not read what it is sent. */
  #isBlocked = false;
  #isEnding = false;
  #isClosed = false;
  /** It was this broker that ended the stream, so its end says nothing of the member. */
  #isStopping = false;

  constructor(stream: ByteStream, deps: MembershipDeps) {
    this.#stream = stream;
    this.#deps = deps;
  }

  start(): void {
    const stream = this.#stream;
    stream.onMessage((message) => this.#onMessage(message));
    stream.onDrain(() => {
      this.#isBlocked = false;
      this.#next();
    });
    stream.onEnd(() => {
      this.#isEnding = true;
      this.#next();
    });
    stream.onClose(() => this.#onClose());
    this.#stopDraining = this.#deps.draining.onDrain(() => {
      this.#isStopping = true;
      stream.end(statusOnStream(stoppingError(), stream));
    });
  }

  #onMessage(message: Buffer): void {
    try {
      const request = decodeHeartbeatRequest(message);
      const { groupId, memberId } = request;
      this.#member ??= { groupId, memberId };
      if (this.#member.groupId !== groupId || this.#member.memberId !== memberId) {
        throw operationError(
          "INVALID_ARGUMENT",
          "a Membership stream serves one member of one group; open a stream for each",
        );
      }
      this.#waiting.push(request);
      if (this.#waiting.length >= MAX_WAITING) this.#stream.pause();
      this.#next();
    } catch (error: unknown) {
      this.#stream.cancel(statusOnStream(error, this.#stream));
    }
  }

  /** Takes the next heartbeat when the one before is answered and the answer was taken. */
  #next(): void {
    if (this.#isBusy || this.#isBlocked || this.#isClosed) return;
    const request = this.#waiting.shift();
    if (request !== undefined) {
      if (this.#waiting.length === MAX_WAITING - 1) this.#stream.resume();
      this.#isBusy = true;
      void this.#serve(request); // Never rejects.
    } else if (this.#isEnding) {
      this.#stream.end(OK_STATUS);
    }
  }

  async #serve(request: ConsumerGroupHeartbeatRequest): Promise<void> {
    try {
      // Without the stream's signal: what becomes of a heartbeat whose sender is gone has to be known (see `#report`).
      const caller = { host: hostOfPeer(this.#stream.peer) };
      const response = await consumerGroupHeartbeatAnswer(this.#deps.broker, request, caller);
      const isMember = response.errorCode === SUCCESS && request.memberEpoch >= 0;
      this.#memberEpoch = isMember ? response.memberEpoch : undefined;
      if (this.#isClosed) this.#report();
      else {
        this.#isBlocked = !this.#stream.send([encodeHeartbeatResponse(response)]);
        this.#watchFrom(this.#memberEpoch);
      }
    } catch (error: unknown) {
      this.#deps.logger.warn("a heartbeat failed", { ...this.#fields, err: error });
      this.#stream.cancel(statusOnStream(error, this.#stream));
    } finally {
      this.#isBusy = false;
      this.#next();
    }
  }

  get #fields(): LogFields {
    return { ...this.#member, requestId: requestIdOf(this.#stream) };
  }

  /** One watch at a time, in the epoch that the member has. */
  #watchFrom(memberEpoch: number | undefined): void {
    if (this.#watch !== undefined && this.#watch.memberEpoch === memberEpoch) return;
    this.#watch?.ending.abort(operationError("ABORTED", "the member has another epoch"));
    this.#watch = undefined;
    if (memberEpoch === undefined || this.#member === undefined) return;
    const watch = { memberEpoch, ending: new AbortController() };
    this.#watch = watch;
    this.#deps.broker.groups.watchMember({ ...this.#member, memberEpoch }, watch.ending.signal).then(
      () => {
        // Also after an error: the heartbeat will bring it.
        if (this.#watch !== watch) return;
        this.#watch = undefined;
        this.#nudge();
      },
      // Another watch took its place, or the stream is closed.
      () => undefined,
    );
  }

  #nudge(): void {
    if (this.#isClosed || this.#isEnding || this.#isBusy || this.#waiting.length > 0) return;
    if (!this.#stream.send([encodeHeartbeatResponse({ heartbeatNow: true })])) this.#isBlocked = true;
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
    this.#stopDraining?.();
    this.#watch?.ending.abort(operationError("ABORTED", "the membership stream is closed"));
    this.#watch = undefined;
    // A heartbeat in progress reports when it is answered.
    if (!this.#isBusy) this.#report();
  }

  #report(): void {
    const memberEpoch = this.#memberEpoch;
    if (memberEpoch === undefined || this.#member === undefined || this.#isStopping) return;
    this.#memberEpoch = undefined;
    this.#deps.broker.groups.memberDisconnected({ ...this.#member, memberEpoch }).catch((error: unknown) => {
      this.#deps.logger.warn("the loss of a member could not be told", {
        ...this.#fields,
        err: error,
      });
    });
  }
}
