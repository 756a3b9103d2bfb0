import { allocUnsafe } from "../base/bytes.ts";
import { operationError } from "../base/errors.ts";
import { MAX_VARINT_BYTES, writeUvarint } from "../base/varint.ts";
import { ProtoReader } from "./proto-wire.ts";
import { recordByteLength } from "./proto-writer.ts";

/** Field 1 of wire type 2. */
const PAYLOAD_TAG = 0x0a;

/**
 * A message whose only field is `bytes payload = 1`: the frames and requests of peer.proto. The chunks go out as they
 * are, behind a header of a few bytes. (A message with a nested message as field 1 has the same bytes.)
 */
export function encodePayload(chunks: readonly Uint8Array[]): Uint8Array[] {
  const header = allocUnsafe(1 + MAX_VARINT_BYTES);
  header[0] = PAYLOAD_TAG;
  const end = writeUvarint(header, recordByteLength(chunks), 1);
  return [header.subarray(0, end), ...chunks];
}

/** The payload, a view of `message`. @throws LograftError SERIALIZATION_FAILED, also when there is none. */
export function decodePayload(message: Buffer): Buffer {
  const reader = new ProtoReader(message);
  let payload: Buffer | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === PAYLOAD_TAG) payload = reader.bytes();
    else reader.skip(tag);
  }
  if (payload !== undefined) return payload;
  throw operationError("SERIALIZATION_FAILED", "the message has no payload", {
    context: { messageBytes: message.length },
  });
}
