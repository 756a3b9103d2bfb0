import { expect, test } from "vitest";

import { nodeId } from "../../src/model/ids.ts";
import { peerMetadata, readPeerHeaders } from "../../src/rpc/peer-headers.ts";
import { toGrpcJsMetadata } from "../../src/rpc/stream/grpc-js-metadata.ts";

const FROM = { nodeId: nodeId(0), directoryId: "3q2-7w", clusterId: "AbC_-9" };

test("what is written is read, and gRPC carries it", () => {
  const to = { nodeId: nodeId(0x7fff_ffff), directoryId: "x" };
  const metadata = peerMetadata(FROM, to);
  expect(() => toGrpcJsMetadata(metadata)).not.toThrow();
  expect(readPeerHeaders(metadata)).toEqual({
    ok: true,
    headers: { ...FROM, toNodeId: to.nodeId, toDirectoryId: "x" },
  });
});

test("what is not known is left out", () => {
  const unknown = { ...FROM, clusterId: undefined };
  expect([...peerMetadata(unknown).keys()]).toEqual(["lograft-node-id", "lograft-directory-id"]);
  expect(readPeerHeaders(peerMetadata(unknown))).toEqual({
    ok: true,
    headers: { ...unknown, toNodeId: undefined, toDirectoryId: "" },
  });
  const anyStore = peerMetadata(FROM, { nodeId: nodeId(1), directoryId: "" });
  expect(anyStore.has("lograft-to-directory-id")).toBe(false);
});

test.each([
  ["lograft-node-id", ["", "x", "01", "-1", "1.5", "2147483648", "99999999999"]],
  ["lograft-directory-id", ["", "a b", "a\nb", "x".repeat(65), "ü"]],
  ["lograft-cluster-id", ["", "a b", "x".repeat(65)]],
  ["lograft-to-node-id", ["", "x", "-1"]],
  ["lograft-to-directory-id", ["a b", "x".repeat(65)]],
])("a malformed %s is named", (header, values) => {
  for (const value of values) {
    const metadata = new Map(peerMetadata(FROM)).set(header, value);
    expect(readPeerHeaders(metadata), JSON.stringify(value)).toEqual({ ok: false, header });
  }
});

test("nothing at all names the first", () => {
  expect(readPeerHeaders(new Map())).toEqual({ ok: false, header: "lograft-node-id" });
});
