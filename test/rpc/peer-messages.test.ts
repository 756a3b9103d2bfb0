import fc from "fast-check";
import { expect, test } from "vitest";

import { nodeId } from "../../src/model/ids.ts";
import { decodeNodeHello, encodeNodeHello } from "../../src/rpc/peer-messages.ts";
import { codecContract, uint64 } from "./codec-contract.ts";

const node = fc.nat(0x7fff_ffff);
const text = fc.oneof(
  fc.constantFrom("", "store-1", "127.0.0.1:9093", "größe"),
  fc.string({ maxLength: 30 }),
);
const peer = fc.record({ nodeId: node, directoryId: text, endpoint: text });

codecContract({
  name: "NodeHello",
  values: fc.record({
    nodeId: node,
    directoryId: text,
    endpoint: text,
    clusterId: fc.option(fc.string({ minLength: 1, maxLength: 30 }), { nil: undefined }),
    foundingVoters: fc.array(peer, { maxLength: 5 }),
    voters: fc.array(peer, { maxLength: 5 }),
    leader: fc.option(peer, { nil: undefined }),
    epoch: uint64,
    wallClockMs: uint64.map((ms) => Math.max(1, ms)),
  }),
  encode: encodeNodeHello,
  decode: decodeNodeHello,
});

const EMPTY = {
  nodeId: nodeId(1),
  directoryId: "",
  endpoint: "",
  clusterId: undefined,
  foundingVoters: [],
  voters: [],
  leader: undefined,
  epoch: 0,
};

test("a founding voter without a directory id is sent with an empty one", () => {
  const foundingVoters = [{ nodeId: nodeId(2), endpoint: "b:2" }];
  const message = Buffer.concat(encodeNodeHello({ ...EMPTY, foundingVoters }));
  expect(decodeNodeHello(message).foundingVoters).toEqual([{ nodeId: 2, directoryId: "", endpoint: "b:2" }]);
});

test("a hello of a release that says nothing of its clock has none", () => {
  expect(decodeNodeHello(Buffer.concat(encodeNodeHello(EMPTY)))).toEqual(EMPTY);
});

test("a negative node id, and more voters than any quorum has, are refused", () => {
  expect(() => decodeNodeHello(Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0x0f]))).toThrow(/node id is -1/);
  const voters = Array.from({ length: 1001 }, (_, index) => ({
    nodeId: nodeId(index),
    directoryId: "",
    endpoint: "",
  }));
  expect(() => decodeNodeHello(Buffer.concat(encodeNodeHello({ ...EMPTY, voters })))).toThrow(
    /more than 1000 voters/,
  );
});
