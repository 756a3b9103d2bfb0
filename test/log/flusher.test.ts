import { expect, test } from "vitest";
import { SyncScheduler } from "../../src/log/flusher.ts";
import { FlushTimer } from "../../src/log/flush-timer.ts";
import type { DiskFile } from "../../src/platform/disk.ts";
import { SimMachine } from "./engine.ts";

/** A file whose syncs end when told. */
class SlowFile {
  readonly pending: { resolve: () => void; reject: (error: Error) => void }[] = [];
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.pending.push({ resolve, reject });
    });
  }
}
const asFile = (file: SlowFile): DiskFile => file as unknown as DiskFile;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("never runs more syncs at once than allowed, and serves in the order of the requests", async () => {
  const scheduler = new SyncScheduler({ maxConcurrent: 2 }, new SimMachine());
  const files = Array.from({ length: 600 }, () => new SlowFile());
  const order: number[] = [];
  const done = files.map((file, i) => scheduler.sync(asFile(file)).then(() => order.push(i)));
  for (let i = 0; i < files.length; i++) {
    await turn();
    expect(files.filter(({ pending }) => pending.length > 0).length).toBeLessThanOrEqual(i + 2);
    expect(scheduler.stats.running).toBeLessThanOrEqual(2);
    files[i]?.pending[0]?.resolve();
  }
  await Promise.all(done);
  expect(order).toEqual(files.map((_, i) => i));
  expect(scheduler.stats).toEqual({ completed: 600, failed: 0, running: 0, waiting: 0 });
});

test("a failed sync is its own caller's only, and gives its place on", async () => {
  const scheduler = new SyncScheduler({ maxConcurrent: 1 }, new SimMachine());
  const [a, b] = [new SlowFile(), new SlowFile()];
  const first = scheduler.sync(asFile(a));
  const second = scheduler.sync(asFile(b));
  await turn();
  expect(b.pending).toHaveLength(0);
  a.pending[0]?.reject(new Error("EIO"));
  await expect(first).rejects.toThrow("EIO");
  await turn();
  b.pending[0]?.resolve();
  await second;
  expect(scheduler.stats).toEqual({ completed: 1, failed: 1, running: 0, waiting: 0 });
  expect(scheduler.durations.count).toBe(1);
});

test("the flush timer fires for the earliest log first and is gone when nothing is dirty", async () => {
  const m = new SimMachine();
  const timer = new FlushTimer({ clock: m.clock });
  const flushed: string[] = [];
  const log = (name: string) => ({
    flush: () => {
      flushed.push(`${name}@${m.scheduler.nowMs}`);
      return Promise.resolve();
    },
  });
  const [slow, fast] = [log("slow"), log("fast")];
  timer.add(slow, 500);
  timer.add(fast, 100);
  timer.add(fast, 1);
  expect(m.scheduler.pendingCount).toBe(1);
  await m.scheduler.advance(1000);
  expect(flushed).toEqual(["fast@100", "slow@500"]);
  expect([m.scheduler.pendingCount, timer.dirtyCount]).toEqual([0, 0]);
  timer.add(slow, 10);
  timer.close();
  await m.scheduler.advance(100);
  expect(flushed).toHaveLength(2);
});
