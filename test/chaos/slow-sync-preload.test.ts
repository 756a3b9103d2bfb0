import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BrokerProcess } from "../../src/chaos/broker-process.ts";
import { LograftClient } from "../../src/client/index.ts";

const DELAY_MS = 400;

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-slow-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("a broker acknowledges nothing before its slow disk has it, and is as fast as before when the disk is", async () => {
  await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0, hasSlowSync: true });
  await using client = new LograftClient({ brokers: [broker.address] });
  await client.admin().createTopics([{ name: "slow" }]);
  await using producer = client.producer({ lingerMs: 0 });
  const ackMs = async (): Promise<number> => {
    const startedAt = performance.now();
    await producer.send("slow", { value: "x" });
    return performance.now() - startedAt;
  };
  await ackMs();
  expect(broker.slowSyncs).toBe(0);
  broker.slowSync(DELAY_MS);
  // The command and the record take different ways: one record may be ahead of it.
  await ackMs();
  expect(await ackMs()).toBeGreaterThanOrEqual(DELAY_MS - 1);
  await expect.poll(() => broker.slowSyncs).toBeGreaterThan(0);
  broker.slowSync(0);
  await ackMs();
  const before = broker.slowSyncs;
  await ackMs();
  expect(broker.slowSyncs).toBe(before);
});
