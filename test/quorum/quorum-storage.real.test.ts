import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import { openStorage } from "../../src/quorum/quorum-storage.ts";
import type { QuorumStorage } from "../../src/quorum/quorum-storage.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import { encodeVoters } from "../../src/raft/voter-set.ts";

let root: string;

beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "lograft-quorum-storage-"));
});
afterEach(() => fs.rm(root, { recursive: true }));

function open(directory: string): Promise<QuorumStorage> {
  return openStorage(
    {
      nodeId: nodeId(1),
      directory,
      endpoint: "",
      clusterId: undefined,
      configuredClusterId: undefined,
      foundingVoters: [],
      bootstrapServers: [],
      tickMs: 100,
      electionTicks: 10,
      heartbeatTicks: 1,
    },
    { platform: createNodePlatform(), logger: silentLogger, hasTransport: false },
  );
}

/** A replica with entries in LevelDB's tables and in its write-ahead log. */
async function makeOriginal(directory: string): Promise<string> {
  const first = await open(directory);
  const { store, mirror, identity } = first;
  const voters = [{ id: replicaIdOf(identity.nodeId, identity.directoryId), endpoint: "" }];
  await store.found({
    clusterId: "c1",
    entry: { index: 1, term: 1, kind: "voters", data: encodeVoters(voters) },
  });
  const write = async (from: number, count: number): Promise<void> => {
    const entries = Array.from({ length: count }, (_, at) => ({
      index: from + at,
      term: 1,
      kind: "data" as const,
      data: Buffer.from(`entry ${from + at}`),
    }));
    const hardState = { term: 1, vote: voters[0]?.id, commit: from + count - 1 };
    await store.write({ hardState, truncateAfter: undefined, entries });
  };
  await write(2, 20);
  await store.close();
  // Opening moves the write-ahead log into a table.
  const second = await open(directory);
  await second.store.write({
    hardState: { term: 1, vote: undefined, commit: 22 },
    truncateAfter: undefined,
    entries: [22, 23].map((index) => ({ index, term: 1, kind: "data", data: Buffer.from(`entry ${index}`) })),
  });
  await mirror.write(() => ({ identity: second.store.identity, term: 1, index: 23, indexTerm: 1, voters }));
  await second.store.close();
  return contentOf(await open(await copyOf(directory)));
}

async function contentOf({ state, identity, store }: QuorumStorage): Promise<string> {
  await store.close();
  return JSON.stringify([identity, state]);
}

let copies = 0;
async function copyOf(directory: string): Promise<string> {
  const copy = join(root, `copy-${copies++}`);
  await fs.cp(directory, copy, { recursive: true });
  return copy;
}

test("no flipped byte, cut or missing file of a real store goes unseen (H13, H14)", async () => {
  const directory = join(root, "original");
  const original = await makeOriginal(directory);
  let [found, harmless] = [0, 0];
  const tryWith = async (name: string, damage: (path: string) => Promise<void>): Promise<void> => {
    const copy = await copyOf(directory);
    await damage(join(copy, "store", name));
    try {
      // Where the damage hit nothing that counts, everything is there.
      expect(await contentOf(await open(copy)), name).toBe(original);
      harmless++;
    } catch (error: unknown) {
      expect((error as { code?: unknown }).code, `${name}: ${String(error)}`).toMatch(
        /^(METADATA_CORRUPT|DISK_READ_FAILED)$/,
      );
      found++;
    }
    await fs.rm(copy, { recursive: true });
  };
  const names = (await fs.readdir(join(directory, "store"))).filter((name) =>
    /log$|ldb$|MANIFEST|CURRENT/.test(name),
  );
  expect(names.some((name) => name.endsWith(".ldb"))).toBe(true);
  for (const name of names) {
    const whole = await fs.readFile(join(directory, "store", name));
    if (whole.length === 0) continue;
    for (let at = 0; at < whole.length; at += Math.max(1, Math.floor(whole.length / 12))) {
      await tryWith(name, async (path) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ 0x41;
        await fs.writeFile(path, bytes);
      });
    }
    await tryWith(name, (path) => fs.truncate(path, Math.floor(whole.length / 2)));
    await tryWith(name, (path) => fs.rm(path));
  }
  expect(found).toBeGreaterThan(20);
  expect(harmless).toBeLessThan(found);
});
