import { expect, test } from "vitest";
import { controllerOf, describeReady, readyAsJson } from "../../../src/cli/dev-cluster/cluster-report.ts";
import { DevDirectory } from "../../../src/cli/dev-cluster/dev-directory.ts";
import { planCluster } from "../../../src/cli/dev-cluster/plan.ts";

const plan = planCluster({ count: 3, basePort: 9092, settings: [] });
const brokers = plan.nodes.map(({ nodeId }) => ({
  address: `127.0.0.1:${9090 + 2 * nodeId}`,
  nodeId,
  clusterId: "C",
  controllerId: 2,
}));
const ready = {
  plan,
  brokers,
  directory: new DevDirectory("./lograft-data"),
  isEphemeral: false,
  readyMs: 912.4,
};

test("the block names every broker, the controller, the time, and what to try", () => {
  const text = describeReady(ready);
  expect(text).toContain("3 brokers are ready after 0.91 s");
  expect(text).toContain("node 2  127.0.0.1:9094   peer 127.0.0.1:9095   controller");
  expect(text.match(/ controller$/gm)).toHaveLength(1);
  expect(text).toContain("export LOGRAFT_BROKERS=127.0.0.1:9092,127.0.0.1:9094,127.0.0.1:9096");
  expect(text).toContain("npx lograft dev stop 2 --kill\n");
});

test("commands for another directory name it", () => {
  const text = describeReady({ ...ready, directory: new DevDirectory("other"), isEphemeral: true });
  expect(text).toContain("npx lograft dev status --dir other");
  expect(text).toContain("removed at the end");
});

test("brokers that name two controllers name none", () => {
  const split = brokers.map((broker) => ({ ...broker, controllerId: broker.nodeId === 1 ? 1 : 2 }));
  expect(controllerOf(split)).toBe(-1);
  expect(controllerOf(brokers.map((broker) => ({ ...broker, controllerId: -1 })))).toBe(-1);
  expect(controllerOf(brokers)).toBe(2);
});

test("programs get the same as an object", () => {
  expect(readyAsJson(ready)).toMatchObject({
    readyMs: 912,
    clusterId: "C",
    controllerId: 2,
    nodes: [{ nodeId: 1, client: "127.0.0.1:9092", peer: "127.0.0.1:9093" }, {}, {}],
  });
});
