import { afterEach, expect, test } from "vitest";

import { silentLogger } from "../../src/base/logger.ts";
import { MetadataNode, type MetadataNodeDeps } from "../../src/broker/metadata-node.ts";
import { metadataNodeOptions } from "../../src/broker/metadata-options.ts";
import type { AcceptedReplica } from "../../src/replication/leader-endpoint.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { parsedConfig } from "./sim-broker.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function open(replicas: Pick<MetadataNodeDeps, "acceptReplica">): Promise<MetadataNode> {
  const scheduler = new Scheduler();
  const options = metadataNodeOptions(parsedConfig({ "node.id": "7" }).config, {
    directory: "data",
    peerEndpoint: "",
    clusterId: undefined,
    reserveBytes: 0,
    limits: { maxTopicPartitions: 10, maxPartitions: 10 },
  });
  const opening = MetadataNode.open(options, {
    platform: SimPlatform.create({ seed: 1 }, { scheduler }),
    logger: silentLogger,
    transport: undefined,
    channel: undefined,
    joinCluster: () => Promise.resolve(),
    onChange: () => undefined,
    health: { loopAgeMs: () => 0, diskAgeMs: () => 0 },
    ...replicas,
  });
  const node = await scheduler.settle(opening, 60_000);
  closers.push(() => scheduler.settle(node.close(), 60_000));
  return node;
}

const stream: AcceptedReplica = { send: () => true, close: () => undefined };

test("a node that leads no partition tells a follower so", async () => {
  const node = await open({});
  expect(() => node.acceptReplica(stream)).toThrow(
    expect.objectContaining({ code: "CLOSED", retriable: true, context: { nodeId: 7 } }),
  );
  expect(() => node.acceptReplica(stream)).toThrow(/node 7 .*follow the broker that leads/);
});

test("a follower's stream goes to whoever serves replicas", async () => {
  const input = { onFrame: () => undefined, onDrain: () => undefined, onEnd: () => undefined };
  const accepted: AcceptedReplica[] = [];
  const node = await open({
    acceptReplica: (taken) => {
      accepted.push(taken);
      return input;
    },
  });
  expect(node.acceptReplica(stream)).toBe(input);
  expect(accepted).toEqual([stream]);
});
