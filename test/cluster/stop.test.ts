import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-stop-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Lines that tell of a stop that was not one in good order. */
const DISORDER = /the stop took too long|something still open|calls are still in progress/;

test("a broker ends by itself while others are frozen and end no connection", async () => {
  await using cluster = await ClusterProcess.start({ directory });
  for (const frozen of [2, 3]) cluster.broker(frozen).pause();
  const stopped = cluster.broker(1);
  // Not 1, which is the end by force when shutdown.timeout.ms is over.
  expect(await stopped.stop(), stopped.log).toBe(0);
  expect(stopped.log).not.toMatch(DISORDER);
}, 120_000);

test("brokers that are told to stop at once, with records on their way, do not wait for each other", async () => {
  await using cluster = await ClusterProcess.start({ directory });
  await using client = cluster.client();
  await client.admin().createTopics([{ name: "t", partitions: 6, replicationFactor: 3 }]);
  const producer = client.producer({ deliveryTimeoutMs: 120_000 });
  let isOver = false;
  const failures: unknown[] = [];
  const sends: Promise<void>[] = [];
  const send = (value: number): void => {
    const sent = producer.send("t", { key: String(value), value: String(value) });
    sends.push(sent.then(() => undefined).catch((error: unknown) => void failures.push(error)));
    if (!isOver) setTimeout(() => send(value + 1), 2);
  };
  send(0);
  for (let round = 0; round < 3; round++) {
    await cluster.until("records are acknowledged", async () =>
      (await producer.send("t", { value: "x" })).offset >= 0 ? true : undefined,
    );
    const codes = await Promise.all(cluster.nodeIds.map((nodeId) => cluster.broker(nodeId).stop()));
    expect(codes, cluster.logs()).toEqual([0, 0, 0]);
    for (const nodeId of cluster.nodeIds) expect(cluster.broker(nodeId).log).not.toMatch(DISORDER);
    await cluster.startAll();
  }
  isOver = true;
  await Promise.all(sends);
  expect(failures).toEqual([]);
  await producer.close();
}, 180_000);
