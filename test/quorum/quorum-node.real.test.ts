import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import { QuorumNode } from "../../src/quorum/quorum-node.ts";
import { Journal } from "./quorum-cluster.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lograft-quorum-"));
});
afterEach(() => rm(root, { recursive: true }));

async function start(journal: Journal, clusterId: string | undefined): Promise<QuorumNode> {
  const node = await QuorumNode.open(
    {
      nodeId: nodeId(1),
      directory: join(root, "quorum"),
      endpoint: "",
      clusterId,
      configuredClusterId: undefined,
      foundingVoters: [],
      bootstrapServers: [],
      tickMs: 1000,
      electionTicks: 10,
      heartbeatTicks: 1,
      snapshotAfterBytes: 4000,
      keepEntries: 10,
    },
    {
      platform: createNodePlatform(),
      logger: silentLogger,
      transport: undefined,
      stateMachine: journal,
      joinCluster: () => Promise.resolve(),
    },
  );
  const active = new Promise<void>((resolve) => {
    node.onRole((role) => {
      if (role.isActive) resolve();
    });
  });
  node.start();
  // Far below a tick: nobody waits for an election timeout.
  await active;
  return node;
}

test("a broker alone, on real files: active within moments, snapshots taken, all there after a restart", async () => {
  const journal = new Journal();
  const node = await start(journal, undefined);
  const texts = Array.from({ length: 300 }, (_, at) => `entry ${at} of three hundred`);
  for (let at = 0; at < texts.length; at += 30) {
    const proposals = texts.slice(at, at + 30).map((text) => node.propose(Buffer.from(text)));
    await Promise.all(proposals.map(({ committed }) => committed));
  }
  const { clusterId, directoryId } = node;
  // A snapshot is written beside the commits, and may still be on its way to the disk.
  await vi.waitFor(() => expect(node.status.snapshotIndex).toBeGreaterThan(0));
  await node.close();
  const restored = new Journal();
  const again = await start(restored, clusterId);
  expect([again.clusterId, again.directoryId]).toEqual([clusterId, directoryId]);
  expect(restored.restoredAt).toHaveLength(1);
  expect(restored.texts).toEqual(texts);
  await again.close();
});
