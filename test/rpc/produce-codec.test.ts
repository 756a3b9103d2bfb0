import fc from "fast-check";
import { expect, test } from "vitest";

import {
  decodeProduceRequest,
  decodeProduceResponse,
  encodeProduceRequest,
  encodeProduceResponse,
} from "../../src/rpc/produce-codec.ts";
import { codecContract, int32, records, sint64, topic, uint32, uint64 } from "./codec-contract.ts";

const produceRequest = fc.record({
  correlationId: uint64,
  acks: int32,
  timeoutMs: uint32,
  partitions: fc.array(fc.record({ topic, partition: int32, leaderEpoch: int32, records }), { maxLength: 4 }),
});
const produceResponse = fc.record({
  correlationId: uint64,
  results: fc.array(
    fc.record({
      topic,
      partition: int32,
      errorCode: int32,
      errorMessage: fc.string(),
      baseOffset: sint64,
      logAppendTimeMs: sint64,
      logStartOffset: uint64,
      leaderEpoch: int32,
      durability: fc.nat(3),
      replicas: uint32,
      duplicate: fc.boolean(),
      leaderId: int32,
    }),
    { maxLength: 4 },
  ),
  windowBytes: uint64,
  throttleTimeMs: uint32,
});

codecContract({
  name: "ProduceRequest",
  values: produceRequest,
  encode: encodeProduceRequest,
  decode: decodeProduceRequest,
});
codecContract({
  name: "ProduceResponse",
  values: produceResponse,
  encode: encodeProduceResponse,
  decode: decodeProduceResponse,
});

test("a 64-bit number above 2^53 - 1 is an error, not another number", () => {
  const tooLarge = Buffer.from([0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
  expect(() => decodeProduceRequest(tooLarge)).toThrow(/2\^53/);
  const largest = Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
  expect(decodeProduceRequest(largest).correlationId).toBe(Number.MAX_SAFE_INTEGER);
});

test("fields may come in any order, and the last of a single field wins", () => {
  const message = Buffer.from([0x18, 9, 0x10, 1, 0x08, 5, 0x08, 6]);
  expect(decodeProduceRequest(message)).toEqual({ correlationId: 6, acks: -1, timeoutMs: 9, partitions: [] });
});

test("record bytes are the caller's own on the way out and views of the message on the way in", () => {
  const mine = [Buffer.alloc(100, 1), Buffer.alloc(200, 2)];
  const partition = { topic: "t", partition: 0, leaderEpoch: -1, records: mine };
  const chunks = encodeProduceRequest({ correlationId: 1, acks: -1, timeoutMs: 0, partitions: [partition] });
  expect(chunks[1]).toBe(mine[0]);
  expect(chunks[2]).toBe(mine[1]);
  const message = Buffer.concat(chunks);
  const decoded = decodeProduceRequest(message).partitions[0]?.records;
  expect(decoded).toEqual(Buffer.concat(mine));
  expect(decoded?.buffer).toBe(message.buffer);
});
