import type { ServerWritableStream } from "@grpc/grpc-js";
import { assertNever } from "../../base/assert.ts";
import { operationError } from "../../base/errors.ts";
import type { Broker } from "../../broker/broker.ts";
import type { SubscribeFrom } from "../../broker/handlers/subscribe.ts";
import type { SubscribedRecord } from "../../broker/plain-record-reader.ts";
import { ProtocolError } from "../../model/error-code.ts";
import { checkedInt64, checkedUint64 } from "../../rpc/convert.ts";
import type { Record as PlainRecord, SubscribeRequest, SubscribeResponse } from "../../rpc/messages.ts";
import { failCall } from "./named-requests.ts";

/** Serves one `Subscribe` call. A client that reads slowly pauses its own subscription only. */
export function serveSubscribe(
  call: ServerWritableStream<SubscribeRequest, SubscribeResponse>,
  broker: Broker,
): void {
  const { request } = call;
  let from: SubscribeFrom;
  try {
    from = startOf(request);
    checkedUint64(request.maxRecords, "max_records");
  } catch (error) {
    failCall(call, error);
    return;
  }
  const subscription = broker.subscribe(
    { ...request, from },
    {
      send: (records) => call.write({ records: records.map(recordMessage) }),
      end: ({ error, errorMessage }) => {
        if (error === "NONE") call.end();
        else failCall(call, new ProtocolError(error, errorMessage));
      },
    },
  );
  call.on("drain", () => subscription.drained());
  call.on("cancelled", () => subscription.close());
  call.on("error", () => subscription.close());
}

function startOf(request: SubscribeRequest): SubscribeFrom {
  switch (request.from) {
    case "offset":
      return { kind: "offset", offset: checkedUint64(request.offset ?? 0, "offset") };
    case "timestampMs": {
      const timestampMs = checkedInt64(request.timestampMs ?? 0, "timestamp_ms");
      if (timestampMs < 0)
        throw operationError("INVALID_ARGUMENT", `timestamp_ms is ${timestampMs}, before 1970`);
      return { kind: "timestamp", timestampMs };
    }
    case "end":
      return { kind: "end" };
    case "beginning":
    case undefined:
      return { kind: "beginning" };
    default:
      return assertNever(request.from);
  }
}

function recordMessage(record: SubscribedRecord): PlainRecord {
  return {
    ...optionalBytes("key", record.key),
    ...optionalBytes("value", record.value),
    headers: record.headers.map((header) => ({ key: header.key, ...optionalBytes("value", header.value) })),
    timestampMs: record.timestampMs,
    offset: record.offset,
    partition: record.partition,
    topic: record.topic,
  };
}

/** A null is a field that is left out. The encoder copies, so a view will do. */
function optionalBytes<Name extends string>(
  name: Name,
  bytes: Uint8Array | null,
): { readonly [N in Name]?: Buffer } {
  if (bytes === null) return {};
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { [name]: view } as { readonly [N in Name]?: Buffer };
}
