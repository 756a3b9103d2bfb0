import { expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { FileHandleCache } from "../../src/log/file-handle-cache.ts";
import { SimMachine } from "./engine.ts";

async function files(count: number, maxOpen: number): Promise<{ m: SimMachine; cache: FileHandleCache }> {
  const m = new SimMachine();
  for (let i = 0; i < count; i++) await m.run((await m.run(m.disk.open(`/f${i}`, "create"))).close());
  return { m, cache: new FileHandleCache({ maxOpen }, { disk: m.disk, logger: silentLogger }) };
}

test("handles in use are never closed, idle ones are, the longest unused first", async () => {
  const { m, cache } = await files(6, 2);
  const held = await m.run(Promise.all([0, 1, 2].map((i) => cache.acquire(`/f${i}`, "read"))));
  expect(cache.openCount).toBe(3);
  for (const handle of held) expect(await m.run(handle.file.sizeBytes())).toBe(0);
  for (const handle of held) cache.release(handle);
  expect(cache.openCount).toBe(2);
  expect(cache.tryAcquire("/f0", "read")).toBeUndefined();
  const second = cache.tryAcquire("/f1", "read");
  expect(second).toBeDefined();
  if (second !== undefined) cache.release(second);
  const other = await m.run(cache.acquire("/f5", "read"));
  cache.release(other);
  expect(cache.tryAcquire("/f2", "read")).toBeUndefined();
});

test("concurrent callers share one opening, and a reader shares a writer's handle but not the reverse", async () => {
  const { m, cache } = await files(1, 4);
  const opens = (): number => m.disk.operationCounts.get("open") ?? 0;
  const before = opens();
  const [a, b] = await m.run(Promise.all([cache.acquire("/f0", "read"), cache.acquire("/f0", "read")]));
  expect([a === b, opens() - before]).toEqual([true, 1]);
  const writer = await m.run(cache.acquire("/f0", "write"));
  expect(writer).not.toBe(a);
  const reader = await m.run(cache.acquire("/f0", "read"));
  expect(reader).toBe(writer);
  for (const handle of [a, b, writer, reader].filter((handle) => handle !== undefined)) cache.release(handle);
  await m.run(cache.close());
  expect(cache.openCount).toBe(0);
});

test("a forgotten path is opened anew, while its holder still reads what it held", async () => {
  const { m, cache } = await files(1, 4);
  const held = await m.run(cache.acquire("/f0", "write"));
  await m.run(held.file.write([Buffer.from("old")], 0));
  await m.run(m.disk.rename("/f0", "/gone"));
  cache.forget("/f0");
  await m.run(m.disk.open("/f0", "create"));
  const fresh = await m.run(cache.acquire("/f0", "read"));
  expect(await m.run(fresh.file.sizeBytes())).toBe(0);
  expect(await m.run(held.file.sizeBytes())).toBe(3);
  cache.release(held);
  cache.release(fresh);
  await m.run(cache.close());
});

test("a failed open is reported to everybody who waited and tried again by the next", async () => {
  const { m, cache } = await files(1, 4);
  m.disk.faults.arm({ kind: "error", operations: ["open"], errno: "EMFILE" });
  const results = await m.run(
    Promise.allSettled([cache.acquire("/f0", "read"), cache.acquire("/f0", "read")]),
  );
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  cache.release(await m.run(cache.acquire("/f0", "read")));
});
