import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../../src/chaos/free-port.ts";
import { runKillRound } from "./kill-round.ts";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-kill-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test.each([{ policy: "ack" }, { policy: "os" }])(
  "after kill -9 in the middle of a stream every acknowledged record is there once, in order ($policy)",
  async ({ policy }) => {
    const records = Array.from({ length: 20_000 }, (_, i) => ({ key: `key-${i % 97}`, value: `value-${i}` }));
    const round = await runKillRound({
      records,
      dataDirectory: directory,
      port: await freePort(),
      topic: "killed",
      partitions: 3,
      killAfter: 7_000,
      settings: [`log.flush.policy=${policy}`],
    });
    expect(round.faults).toEqual([]);
    expect(round.acknowledged).toBe(records.length);
    expect(round.acknowledgedBeforeKill).toBeGreaterThanOrEqual(7_000);
    expect(round.acknowledgedBeforeKill).toBeLessThan(records.length);
  },
  60_000,
);
