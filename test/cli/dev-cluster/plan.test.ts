import { describe, expect, test } from "vitest";
import {
  basePortOf,
  clientAddresses,
  MAX_NODES,
  planCluster,
  startArguments,
  withMoreNodes,
  withSettings,
} from "../../../src/cli/dev-cluster/plan.ts";

const three = planCluster({ count: 3, basePort: 9092, settings: ["num.partitions=6"] });

test("node N has base + 2(N-1) for clients and the port above for its peers", () => {
  expect(three.nodes).toEqual([
    { nodeId: 1, clientPort: 9092, peerPort: 9093, isFounder: true },
    { nodeId: 2, clientPort: 9094, peerPort: 9095, isFounder: true },
    { nodeId: 3, clientPort: 9096, peerPort: 9097, isFounder: true },
  ]);
  expect(clientAddresses(three)).toEqual(["127.0.0.1:9092", "127.0.0.1:9094", "127.0.0.1:9096"]);
  expect(basePortOf(three)).toBe(9092);
});

test("a founder is started with all founders as voters", () => {
  const [, second] = three.nodes;
  if (second === undefined) throw new Error("no second node");
  expect(startArguments(three, second, "/data/node-2")).toEqual([
    "start",
    "--json",
    "--exit-with-parent",
    "--node-id",
    "2",
    "--data-dir",
    "/data/node-2",
    "--set",
    "listeners=CLIENT://127.0.0.1:9094,PEER://127.0.0.1:9095",
    "--set",
    "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9095,3@127.0.0.1:9097",
    "--set",
    "num.partitions=6",
  ]);
});

test("a node added later gets the next ports, and the founders as those to ask", () => {
  const four = withMoreNodes(three, 1);
  const added = four.nodes.at(-1);
  expect(added).toEqual({ nodeId: 4, clientPort: 9098, peerPort: 9099, isFounder: false });
  if (added === undefined) throw new Error("no fourth node");
  const args = startArguments(four, added, "/data/node-4");
  expect(args).toContain("controller.quorum.bootstrap.servers=127.0.0.1:9093,127.0.0.1:9095,127.0.0.1:9097");
  expect(args.join(" ")).not.toContain("quorum.voters");
});

test("adding a node changes nothing for the founders", () => {
  const [first] = three.nodes;
  if (first === undefined) throw new Error("no first node");
  expect(startArguments(withMoreNodes(three, 2), first, "/d")).toEqual(startArguments(three, first, "/d"));
});

test("a setting given again takes the new value, and the others stay", () => {
  const plan = withSettings(withSettings(three, ["a.b=1"]), ["num.partitions=9", "c=x=y"]);
  expect(plan.settings).toEqual(["num.partitions=9", "a.b=1", "c=x=y"]);
});

describe("a plan that cannot be is refused", () => {
  test.each([
    [
      "more brokers than the limit",
      () => planCluster({ count: MAX_NODES + 1, basePort: 9092, settings: [] }),
    ],
    ["ports past the last", () => planCluster({ count: 3, basePort: 65_531, settings: [] })],
    ["port 0", () => planCluster({ count: 1, basePort: 0, settings: [] })],
    ["more added than the limit", () => withMoreNodes(three, MAX_NODES - 2)],
    ["a setting without a value", () => withSettings(three, ["num.partitions"])],
    ["a setting that the plan decides", () => withSettings(three, ["listeners=CLIENT://:1"])],
  ])("%s", (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("the last ports there are can be used", () => {
    const { nodes } = planCluster({ count: 3, basePort: 65_530, settings: [] });
    expect(nodes.at(-1)?.peerPort).toBe(65_535);
  });
});
