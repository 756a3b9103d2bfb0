import fc from "fast-check";
import { expect, test } from "vitest";

import {
  decodeFetchStreamRequest,
  decodeFetchStreamResponse,
  encodeFetchStreamRequest,
  encodeFetchStreamResponse,
} from "../../src/rpc/fetch-codec.ts";
import { codecContract, int32, records, topic, uint32, uint64 } from "./codec-contract.ts";

const fetchRequest = fc.record(
  {
    add: fc.array(
      fc.record({ topic, partition: int32, offset: uint64, leaderEpoch: int32, generation: uint32 }),
      { maxLength: 4 },
    ),
    remove: fc.array(fc.record({ topic, partition: int32 }), { maxLength: 3 }),
    creditBytes: uint64,
    options: fc.record({
      maxMessageBytes: uint32,
      minBytes: uint32,
      maxWaitMs: uint32,
      readCommitted: fc.boolean(),
      fromFollower: fc.boolean(),
    }),
  },
  { requiredKeys: ["add", "remove", "creditBytes"] },
);
const fetchResponse = fc.record({
  partitions: fc.array(
    fc.record({
      topic,
      partition: int32,
      generation: uint32,
      errorCode: int32,
      errorMessage: fc.string(),
      highWatermark: uint64,
      logStartOffset: uint64,
      leaderEpoch: int32,
      records,
      leaderId: int32,
    }),
    { maxLength: 4 },
  ),
});

codecContract({
  name: "FetchStreamRequest",
  values: fetchRequest,
  encode: encodeFetchStreamRequest,
  decode: decodeFetchStreamRequest,
});
codecContract({
  name: "FetchStreamResponse",
  values: fetchResponse,
  encode: encodeFetchStreamResponse,
  decode: decodeFetchStreamResponse,
});

test("records of several buffers are sent as they are, one after the other", () => {
  const records = [Buffer.alloc(50, 1), Buffer.alloc(0), Buffer.alloc(70, 2)];
  const data = {
    topic: "orders",
    partition: 1,
    generation: 2,
    errorCode: 0,
    errorMessage: "",
    highWatermark: 9,
    logStartOffset: 0,
    leaderEpoch: 4,
    leaderId: 1,
  };
  const chunks = encodeFetchStreamResponse({
    partitions: [
      { ...data, records },
      { ...data, records: [] },
    ],
  });
  expect(chunks[1]).toBe(records[0]);
  expect(chunks[2]).toBe(records[2]);
  const decoded = decodeFetchStreamResponse(Buffer.concat(chunks));
  expect(decoded.partitions.map((partition) => partition.records.length)).toEqual([120, 0]);
});

test("options that come twice are merged, as protobuf says", () => {
  const first = Buffer.from([0x22, 2, 0x08, 5]);
  const second = Buffer.from([0x22, 2, 0x10, 7]);
  expect(decodeFetchStreamRequest(Buffer.concat([first, second])).options).toEqual({
    maxMessageBytes: 5,
    minBytes: 7,
    maxWaitMs: 0,
    readCommitted: false,
    fromFollower: false,
  });
});
