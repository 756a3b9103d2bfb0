import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { Broker } from "../../src/broker/broker.ts";
import type { FetchedPartition } from "../../src/broker/fetched-partition.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import { batchOf } from "./fake-logs.ts";
import { parsedConfig } from "./sim-broker.ts";

let directory: string;
beforeEach(async () => (directory = await mkdtemp(`${tmpdir()}/lograft-broker-`)));
afterEach(() => rm(directory, { recursive: true }));

function start(): Promise<Broker> {
  const config = parsedConfig({ "log.dirs": `${directory}/data` });
  return Broker.start(
    { config, advertised: { host: "127.0.0.1", port: 9092 } },
    { platform: createNodePlatform(), logger: silentLogger },
  );
}

const orders = { name: "orders", partitions: 2, replicationFactor: 1, configs: new Map<string, string>() };

test("records go to the disk and come back through a session after a restart", async () => {
  const values = Array.from({ length: 20 }, (_, index) => `value ${index}`);
  {
    await using broker = await start();
    await broker.createTopics({ topics: [orders], validateOnly: false });
    const produced = values.map((value) =>
      broker.produce({
        acks: -1,
        timeoutMs: 0,
        partitions: [{ topic: "orders", partition: 1, leaderEpoch: 0, records: batchOf(value) }],
      }),
    );
    const results = (await Promise.all(produced)).flat();
    expect(results.map(({ error, baseOffset, durability }) => [error, baseOffset, durability])).toEqual(
      values.map((_value, index) => ["NONE", index, "synced"]),
    );
  }
  await using broker = await start();
  const { leaderEpoch } = broker.image.topic("orders")!.partitions[1]!;
  const items: FetchedPartition[] = [];
  const received = new Promise<void>((resolve) => {
    const session = broker.openFetch(
      { maxMessageBytes: 0, minBytes: 0, maxWaitMs: 0, readCommitted: false },
      {
        send: (some) => {
          items.push(...some);
          if (items.flatMap(({ records }) => records).length > 0) resolve();
          return true;
        },
      },
    );
    session.add([{ topic: "orders", partition: 1, offset: 0, leaderEpoch, generation: 1 }]);
    session.grant(1_000_000);
  });
  await received;
  const bytes = Buffer.concat(items.flatMap(({ records }) => [...records]));
  for (const value of values) expect(bytes.includes(value)).toBe(true);
  expect(items.at(-1)).toMatchObject({ highWatermark: 20, generation: 1 });
});

test("a second broker on a data directory in use is DATA_DIR_LOCKED, and the first goes on", async () => {
  await using broker = await start();
  await expect(start()).rejects.toMatchObject({ code: "DATA_DIR_LOCKED" });
  expect(await broker.createTopics({ topics: [orders], validateOnly: false })).toMatchObject([
    { error: "NONE" },
  ]);
});

test("idle topics have no directory", async () => {
  await using broker = await start();
  const topics = Array.from({ length: 200 }, (_, index) => ({ ...orders, name: `idle-${index}` }));
  await broker.createTopics({ topics, validateOnly: false });
  expect((await readdir(`${directory}/data`)).filter((name) => name.startsWith("idle-"))).toEqual([]);
});
