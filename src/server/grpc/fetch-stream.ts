import { operationError } from "../../base/errors.ts";
import type { Broker } from "../../broker/broker.ts";
import type { FetchSession } from "../../broker/fetch-session.ts";
import type { FetchedPartition } from "../../broker/fetched-partition.ts";
import { errorCodeOf } from "../../model/error-code.ts";
import { statusOnStream } from "../../rpc/error-details.ts";
import type { FetchPartitionDataInput } from "../../rpc/fetch-codec.ts";
import { decodeFetchStreamRequest, encodeFetchStreamResponse } from "../../rpc/fetch-codec.ts";
import type { FetchStreamRequest } from "../../rpc/messages.ts";
import { OK_STATUS } from "../../rpc/status.ts";
import type { ByteStream, StreamHandler } from "../../rpc/stream/byte-stream.ts";

/** Serves `ClientService/Fetch`: the broker pushes within the credit that the client gives. */
export function fetchStreamHandler(deps: { readonly broker: Broker }): StreamHandler {
  return (stream) => {
    let session: FetchSession | undefined;
    stream.onMessage((message) => {
      try {
        const request = decodeFetchStreamRequest(message);
        session ??= openSession(deps.broker, stream, request);
        session.remove(request.remove);
        session.add(request.add);
        if (request.creditBytes > 0) session.grant(request.creditBytes);
      } catch (error) {
        session?.close();
        stream.cancel(statusOnStream(error, stream));
      }
    });
    stream.onDrain(() => session?.drained());
    stream.onEnd(() => {
      session?.close();
      stream.end(OK_STATUS);
    });
    stream.onClose(() => session?.close());
  };
}

function openSession(broker: Broker, stream: ByteStream, request: FetchStreamRequest): FetchSession {
  if (request.creditBytes === 0) {
    throw operationError("INVALID_ARGUMENT", "the first message of a Fetch stream must grant credit_bytes");
  }
  return broker.openFetch(
    request.options ?? { maxMessageBytes: 0, minBytes: 0, maxWaitMs: 0, readCommitted: false },
    {
      send: (partitions) => stream.send(encodeFetchStreamResponse({ partitions: partitions.map(toMessage) })),
      closed: (reason) => stream.end(statusOnStream(reason, stream)),
    },
  );
}

/** Data of the broker as the message of client.proto. */
export function toMessage(data: FetchedPartition): FetchPartitionDataInput {
  return {
    topic: data.topic,
    partition: data.partition,
    generation: data.generation,
    errorCode: errorCodeOf(data.error),
    errorMessage: data.errorMessage,
    highWatermark: data.highWatermark,
    logStartOffset: data.logStartOffset,
    leaderEpoch: data.leaderEpoch,
    records: data.records,
    leaderId: data.leaderId,
  };
}
