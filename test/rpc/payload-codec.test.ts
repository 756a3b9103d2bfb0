import { fileURLToPath } from "node:url";

import fc from "fast-check";
import { loadSync } from "protobufjs";
import { describe, expect, test } from "vitest";

import { nodeId } from "../../src/model/ids.ts";
import {
  CONTROL_METHOD,
  HELLO_METHOD,
  RAFT_METHOD,
  REPLICATE_METHOD,
  SESSION_METHOD,
} from "../../src/rpc/method-names.ts";
import { decodePayload, encodePayload } from "../../src/rpc/payload-codec.ts";
import { decodeNodeHello, encodeNodeHello } from "../../src/rpc/peer-messages.ts";
import { chunksByteLength, frameMessage } from "../../src/rpc/stream/message-framing.ts";

const root = loadSync(fileURLToPath(new URL("../../proto/lograft/v1/peer.proto", import.meta.url)));

describe.each(["RaftFrame", "SessionFrame", "ReplicaFrame", "ControlRequest", "ControlResponse"])(
  "%s",
  (name) => {
    const type = root.lookupType(`lograft.v1.${name}`);

    test("is what protobufjs reads and writes", () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), (chunks) => {
          const payload = Buffer.concat(chunks);
          const message = Buffer.concat(encodePayload(chunks));
          expect(decodePayload(message).equals(payload)).toBe(true);
          const read = type.decode(message) as unknown as { readonly payload: Uint8Array };
          expect(Buffer.from(read.payload).equals(payload)).toBe(true);
          const written = Buffer.from(type.encode(type.create({ payload })).finish());
          expect(decodePayload(written).equals(payload)).toBe(true);
        }),
        { numRuns: 50 },
      );
    });
  },
);

test.each(["HelloRequest", "HelloResponse"])("%s is a payload that holds a NodeHello", (name) => {
  const hello = {
    nodeId: nodeId(3),
    directoryId: "store",
    endpoint: "a:1",
    clusterId: "c",
    foundingVoters: [],
    voters: [],
    leader: undefined,
    epoch: 7,
  };
  const type = root.lookupType(`lograft.v1.${name}`);
  const message = Buffer.concat(encodePayload(encodeNodeHello(hello)));
  const { leader: _, ...fields } = hello;
  const read = type.toObject(type.decode(message), { longs: Number, arrays: true });
  expect(Object.values(read)).toEqual([fields]);
  expect(decodeNodeHello(decodePayload(message))).toEqual(hello);
});

test("the methods are those of the proto file", () => {
  const { methodsArray, fullName } = root.lookupService("lograft.v1.PeerService");
  const paths = methodsArray.map(({ name }) => `/${fullName.slice(1)}/${name}`);
  expect(paths.toSorted()).toEqual(
    [HELLO_METHOD, RAFT_METHOD, REPLICATE_METHOD, SESSION_METHOD, CONTROL_METHOD].toSorted(),
  );
});

test("the chunks go out as they are, and what comes in is a view", () => {
  const chunk = Buffer.alloc(100_000, 1);
  const [header, ...rest] = encodePayload([chunk]);
  expect(header?.length).toBe(4);
  expect(rest).toEqual([chunk]);
  expect(rest[0]).toBe(chunk);
  const message = Buffer.concat(encodePayload([chunk]));
  expect(decodePayload(message).buffer).toBe(message.buffer);
});

test("a frame of a header and batches goes to the wire as one small piece and the batches themselves", () => {
  const batches = [Buffer.alloc(16_384), Buffer.alloc(1024), Buffer.alloc(500_000)];
  const message = encodePayload([Buffer.alloc(40), ...batches]);
  const [head, ...pieces] = frameMessage(message, chunksByteLength(message));
  expect(head?.length).toBeLessThan(64);
  expect(pieces.map((piece, index) => piece === batches[index])).toEqual([true, true, true]);
});

test("other fields are skipped, and the last payload counts", () => {
  const unknown = Buffer.from([0x10, 0x05, 0x1a, 0x01, 0x07]);
  const message = Buffer.concat([unknown, ...encodePayload([Buffer.from("x")]), unknown]);
  expect(String(decodePayload(message))).toBe("x");
});

test("a message without a payload, or cut anywhere, is refused", () => {
  expect(() => decodePayload(Buffer.alloc(0))).toThrow(/no payload/);
  const message = Buffer.concat(encodePayload([Buffer.from("hello")]));
  for (let length = 0; length < message.length; length++) {
    expect(() => decodePayload(message.subarray(0, length)), `${length} bytes`).toThrow(
      expect.objectContaining({ code: "SERIALIZATION_FAILED" }),
    );
  }
});
