import type { ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { LograftError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Broker } from "../../broker/broker.ts";
import type { PublishResult } from "../../broker/handlers/publish.ts";
import { errorCodeOf } from "../../model/error-code.ts";
import { checkedInt64, checkedUint64 } from "../../rpc/convert.ts";
import type { PublishRequest, PublishResponse } from "../../rpc/messages.ts";
import { stoppingError, type Draining } from "./draining.ts";
import { failCall, requestIdOfCall } from "./named-requests.ts";
import { DURABILITY_NUMBERS } from "./produce-stream.ts";
import { serveSubscribe } from "./subscription.ts";
import { unary } from "./unary.ts";

/** Requests of one Publish stream that may be under way before its reading pauses. */
const MAX_PENDING = 64;

/** `Publish` and `Subscribe`: for clients, in any language, that do not encode batches. */
export function plainRecordMethods(deps: {
  readonly broker: Broker;
  readonly logger: Logger;
  readonly draining: Draining;
}): UntypedServiceImplementation {
  return {
    Publish: (call: ServerDuplexStream<PublishRequest, PublishResponse>) => servePublish(call, deps),
    PublishUnary: unary<PublishRequest, PublishResponse>(
      async (request) => publish(deps.broker, request),
      deps,
    ),
    Subscribe: (call: Parameters<typeof serveSubscribe>[0]) => serveSubscribe(call, deps.broker),
  };
}

/** Answers in the order of the requests; a client that does not read its answers is not read from either. */
function servePublish(
  call: ServerDuplexStream<PublishRequest, PublishResponse>,
  { broker, draining, logger }: Parameters<typeof plainRecordMethods>[0],
): void {
  let pending = 0;
  let hasEnded = false;
  let isBehind = false;
  let last: Promise<void> = Promise.resolve();
  call.on("error", () => undefined);
  const flow = (): void => {
    if (pending >= MAX_PENDING || isBehind || draining.isDraining) call.pause();
    else call.resume();
  };
  const endIfAnswered = (): void => {
    if (pending > 0) return;
    if (hasEnded) call.end();
    else if (draining.isDraining) failCall(call, stoppingError());
  };
  const forget = draining.onDrain(() => {
    flow();
    endIfAnswered();
  });
  call.on("data", (request: PublishRequest) => {
    pending++;
    flow();
    const published = publish(broker, request);
    const before = last;
    last = Promise.all([published, before])
      .then(
        ([response]) => {
          if (!call.cancelled && !call.write(response)) isBehind = true;
        },
        (error: unknown) => {
          if (!(error instanceof LograftError)) {
            const requestId = requestIdOfCall(call);
            logger.error("a publication failed", { peer: call.getPeer(), requestId, err: error });
          }
          failCall(call, error);
        },
      )
      .finally(() => {
        pending--;
        flow();
        endIfAnswered();
      });
  });
  call.on("drain", () => {
    isBehind = false;
    flow();
  });
  call.on("end", () => {
    hasEnded = true;
    endIfAnswered();
  });
  // Comes last for each call, however it ended. What a client that went away sent before is appended all the same.
  call.on("cancelled", forget);
}

async function publish(broker: Broker, request: PublishRequest): Promise<PublishResponse> {
  const correlationId = checkedUint64(request.correlationId, "correlation_id");
  const results = await broker.publish({
    topic: request.topic,
    partition: request.partition,
    records: request.records.map((record) => ({
      key: record.key ?? null,
      value: record.value ?? null,
      headers: record.headers.map((header) => ({ key: header.key, value: header.value ?? null })),
      timestampMs:
        record.timestampMs === undefined ? undefined : checkedInt64(record.timestampMs, "timestamp_ms"),
    })),
    // Refused by the broker with INVALID_REQUIRED_ACKS when it is none of the three.
    acks: (request.acks ?? -1) as -1 | 0 | 1,
    timeoutMs: request.timeoutMs,
  });
  return { correlationId, results: results.map(resultMessage) };
}

function resultMessage(result: PublishResult): PublishResponse["results"][number] {
  return {
    errorCode: errorCodeOf(result.error),
    errorMessage: result.errorMessage,
    partition: result.partition,
    offset: result.offset,
    leaderEpoch: result.leaderEpoch,
    durability: DURABILITY_NUMBERS[result.durability],
    retriable: result.retriable,
  };
}
