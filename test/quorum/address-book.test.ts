import { expect, test } from "vitest";
import { nodeId } from "../../src/model/ids.ts";
import { AddressBook } from "../../src/quorum/address-book.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import type { ReplicaId } from "../../src/raft/types.ts";

const id = (node: number): ReplicaId => replicaIdOf(nodeId(node), `d${node}`);

test("what is configured wins, then the voter set, then what a replica said of itself", () => {
  const book = new AddressBook([{ nodeId: nodeId(1), endpoint: "configured:1" }]);
  book.setVoters([1, 2].map((node) => ({ id: id(node), endpoint: `voter:${node}` })));
  for (const node of [1, 2, 3]) book.learn(id(node), `said:${node}`);
  expect([1, 2, 3, 4].map((node) => book.find(id(node))?.endpoint)).toEqual([
    "configured:1",
    "voter:2",
    "said:3",
    undefined,
  ]);
  book.setVoters([]);
  expect(book.find(id(2))).toEqual({ nodeId: 2, directoryId: "d2", endpoint: "said:2" });
  expect(book.describe(id(4))).toEqual({ nodeId: 4, directoryId: "d4", endpoint: "" });
  expect(book.describe("nonsense" as ReplicaId)).toBeUndefined();
});

test("an empty endpoint is none, and what was learned longest ago is forgotten first", () => {
  const book = new AddressBook([]);
  book.setVoters([{ id: id(0), endpoint: "" }]);
  book.learn(id(0), "");
  expect(book.find(id(0))).toBeUndefined();
  for (let node = 1; node <= 1100; node++) book.learn(id(node), `h${node}`);
  expect(book.find(id(1))).toBeUndefined();
  expect(book.find(id(1100))?.endpoint).toBe("h1100");
});
