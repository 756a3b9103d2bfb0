import { expect, test } from "vitest";
import { nodeId } from "../../src/model/ids.ts";
import { parseReplicaId, replicaIdOf } from "../../src/quorum/replica-id.ts";

test("a replica's name holds its node id and its directory id", () => {
  for (const node of [0, 7, 0x7fffffff]) {
    const id = replicaIdOf(nodeId(node), "Ab-_9");
    expect(id).toBe(`${node}@Ab-_9`);
    expect(parseReplicaId(id)).toEqual({ nodeId: node, directoryId: "Ab-_9" });
  }
});

test("other text is no replica's name", () => {
  for (const text of [
    "",
    "1",
    "1@",
    "@a",
    "01@a",
    "-1@a",
    "2147483648@a",
    "1@a b",
    "1@a@b",
    `1@${"a".repeat(65)}`,
  ]) {
    expect(parseReplicaId(text), text).toBeUndefined();
  }
});
