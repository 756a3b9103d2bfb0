import fc from "fast-check";
import { expect, test } from "vitest";
import { writeFully } from "../../src/platform/disk.ts";
import type { Disk, DiskFile } from "../../src/platform/disk.ts";
import { NodeClock } from "../../src/platform/node/node-clock.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { dropAll, keepAll, keepOnly, randomCrash } from "../../src/sim/crash-policy.ts";
import type { CrashPolicy } from "../../src/sim/crash-policy.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import type { SimDiskOptions } from "../../src/sim/sim-disk.ts";
import { SimulatedCrash } from "../../src/sim/simulated-crash.ts";
import { diskContract } from "../contract/disk.ts";

for (const [name, options] of [
  ["SimDisk", {}],
  ["SimDisk with latency", { latency: { minMs: 0.01, maxMs: 0.5 } }],
] as const) {
  diskContract(name, async () => {
    // Latency on a real clock: the suite awaits plain promises and drives no scheduler.
    const disk = new SimDisk(options, { clock: new NodeClock(), random: new SeededRandom(1) });
    await disk.makeDir("/data");
    return {
      disk,
      root: "/data",
      lockElsewhere: async (path, owner) => {
        await disk.lock(path, owner);
        return { pid: 1, kill: async () => disk.crashKeepingAll() };
      },
      dispose: async () => undefined,
    };
  });
}

function makeDisk(options: SimDiskOptions = {}, seed = 1): { disk: SimDisk; scheduler: Scheduler } {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  return { disk: new SimDisk(options, { clock, random: new SeededRandom(seed) }), scheduler };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function filesOf(disk: SimDisk): Record<string, string> {
  return Object.fromEntries(
    [...disk.snapshotFiles()].map(([path, content]) => [path, new TextDecoder().decode(content)]),
  );
}

/** A durable file with this content. */
async function makeFile(disk: SimDisk, path: string, content: string): Promise<DiskFile> {
  const file = await disk.open(path, "create");
  await writeFully(file, [bytes(content)], 0);
  await file.sync();
  await disk.syncDir("/");
  return file;
}

test("a power cut keeps what was synced and takes the rest; a killed process loses nothing", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "synced");
  await file.write([bytes(" and not")], 6);
  await makeFile(disk, "/b", "b");
  await disk.rename("/b", "/c");
  expect(filesOf(disk.imageAfter(dropAll))).toEqual({ "/a": "synced", "/b": "b" });
  expect(filesOf(disk.imageAfter(keepAll))).toEqual({ "/a": "synced and not", "/c": "b" });
  expect(filesOf(disk)).toEqual({ "/a": "synced and not", "/c": "b" });
});

test("synced content without a synced name is lost, a synced name without synced content is an empty file", async () => {
  const { disk } = makeDisk();
  const a = await disk.open("/a", "create");
  await disk.syncDir("/");
  await a.write([bytes("lost")], 0);
  const b = await disk.open("/b", "create");
  await b.write([bytes("nameless")], 0);
  await b.sync();
  expect(filesOf(disk.crashDroppingAll())).toEqual({ "/a": "" });
});

test("a rename is atomic: after any power cut exactly one of both names has the file", async () => {
  const { disk } = makeDisk();
  await disk.makeDir("/d");
  await makeFile(disk, "/old", "old");
  await makeFile(disk, "/tmp", "new");
  await disk.rename("/tmp", "/old");
  await disk.rename("/old", "/d/there");
  const seen = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    seen.add(JSON.stringify(filesOf(disk.imageAfter(randomCrash(new SeededRandom(seed))))));
  }
  expect([...seen].sort()).toEqual(
    [{ "/old": "old", "/tmp": "new" }, { "/old": "new" }, { "/d/there": "new" }]
      .map((x) => JSON.stringify(x))
      .sort(),
  );
});

test("syncing one side of a rename makes both sides durable, and the creation before it", async () => {
  for (const side of ["/from", "/to"]) {
    const { disk } = makeDisk();
    await disk.makeDir("/from");
    await disk.makeDir("/to");
    await disk.syncDir("/");
    const file = await disk.open("/from/a", "create");
    await file.sync();
    await disk.rename("/from/a", "/to/a");
    await disk.open("/to/b", "create");
    await disk.syncDir(side);
    const expected = side === "/to" ? ["/to/a", "/to/b"] : ["/to/a"];
    expect(Object.keys(filesOf(disk.imageAfter(dropAll)))).toEqual(expected);
    expect(filesOf(disk.imageAfter(keepAll)), "nothing made durable is applied again").toEqual(filesOf(disk));
  }
});

test("changes of one name reach the disk in order, of different names in any", async () => {
  const { disk } = makeDisk();
  await disk.open("/a", "create");
  await disk.rename("/a", "/b");
  await disk.open("/x", "create");
  const [create, rename, other] = disk.pendingOperations;
  expect([create?.kind, rename?.kind, other?.kind]).toEqual(["create", "rename", "create"]);
  const keep = (...sequences: number[]): string[] =>
    Object.keys(filesOf(disk.imageAfter(keepOnly(new Set(sequences)))));
  expect(keep(rename?.sequence ?? -1)).toEqual([]);
  expect(keep(create?.sequence ?? -1)).toEqual(["/a"]);
  expect(keep(other?.sequence ?? -1)).toEqual(["/x"]);
});

test("unsynced writes survive in any combination: a later one over a hole of zeros", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "0");
  await file.write([bytes("11")], 1);
  await file.write([bytes("22")], 3);
  const [first, second] = disk.pendingOperations.map((operation) => operation.sequence);
  const outcomes = [[], [first], [second], [first, second]].map((kept) => {
    const sequences = new Set(kept.filter((sequence) => sequence !== undefined));
    return filesOf(disk.imageAfter(keepOnly(sequences)))["/a"];
  });
  expect(outcomes).toEqual(["0", "011", "0\0\x0022", "01122"]);
});

test("a torn write leaves a prefix, or some sectors with or without the new size", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "o".repeat(600));
  await file.write([bytes("n".repeat(1_100))], 500);
  const tear = (fate: ReturnType<CrashPolicy["fateOfWrite"]>): string =>
    filesOf(disk.imageAfter({ ...keepAll, fateOfWrite: () => fate }))["/a"] ?? "";
  expect(tear({ kind: "prefix", sizeBytes: 3 })).toBe("o".repeat(500) + "nnn" + "o".repeat(97));
  const onlySector1 = "o".repeat(512) + "n".repeat(512);
  expect(tear({ kind: "sectors", isKept: (s) => s === 1, isSizeKept: false })).toBe(onlySector1);
  expect(tear({ kind: "sectors", isKept: (s) => s === 1, isSizeKept: true })).toBe(
    onlySector1 + "\0".repeat(576),
  );
});

test("an unsynced truncate may be undone by a power cut", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "abcdef");
  await file.truncate(2);
  expect(filesOf(disk.imageAfter(dropAll))).toEqual({ "/a": "abcdef" });
  await file.sync();
  expect(filesOf(disk.crashDroppingAll())).toEqual({ "/a": "ab" });
});

test("a removed directory comes back in parts or whole until its parent is synced", async () => {
  const { disk } = makeDisk();
  await disk.makeDir("/d");
  await disk.syncDir("/");
  for (const name of ["a", "b"]) await (await disk.open(`/d/${name}`, "create")).sync();
  await disk.syncDir("/d");
  await disk.removeDir("/d");
  expect(disk.pendingOperations.map((operation) => operation.path)).toEqual(["/d/a", "/d/b", "/d"]);
  expect(Object.keys(filesOf(disk.imageAfter(dropAll)))).toEqual(["/d/a", "/d/b"]);
  await disk.syncDir("/");
  expect(await disk.imageAfter(dropAll).stat("/d")).toBeUndefined();
});

/** Replaces a file as a checkpoint does; leaving out a step makes it unsafe. */
async function replace(
  disk: Disk,
  content: string,
  steps: { sync: boolean; syncDir: boolean },
): Promise<void> {
  const file = await disk.open("/c.tmp", "create");
  await file.truncate(0);
  await writeFully(file, [bytes(content)], 0);
  if (steps.sync) await file.sync();
  await file.close();
  await disk.rename("/c.tmp", "/c");
  if (steps.syncDir) await disk.syncDir("/");
}

/** The contents of "/c" seen after a power cut at every operation of two replacements, under many random outcomes. */
async function crashEverywhere(steps: { sync: boolean; syncDir: boolean }): Promise<Set<string>> {
  const seen = new Set<string>();
  const total = await (async () => {
    const { disk } = makeDisk();
    await replace(disk, "first", steps);
    await replace(disk, "second", steps);
    return disk.mutationCount;
  })();
  for (let n = 0; n <= total; n++) {
    const { disk } = makeDisk({ failAfterOperations: n });
    let acknowledged = "nothing";
    try {
      await replace(disk, "first", steps);
      acknowledged = "first";
      await replace(disk, "second", steps);
      acknowledged = "second";
    } catch (error: unknown) {
      expect(error).toBeInstanceOf(SimulatedCrash);
    }
    expect(acknowledged === "second").toBe(n === total);
    for (let seed = 0; seed < 30; seed++) {
      const found =
        filesOf(disk.imageAfter(randomCrash(new SeededRandom(seed * 1_000 + n))))["/c"] ?? "nothing";
      seen.add(`${acknowledged} -> ${found}`);
    }
  }
  return seen;
}

test("crashing at every operation proves a safe replacement and convicts one that leaves out a sync", async () => {
  const safe = await crashEverywhere({ sync: true, syncDir: true });
  expect([...safe].sort()).toEqual([
    "first -> first",
    "first -> second",
    "nothing -> first",
    "nothing -> nothing",
    "second -> second",
  ]);
  expect(await crashEverywhere({ sync: false, syncDir: true })).toContain("second -> ");
  expect(await crashEverywhere({ sync: true, syncDir: false })).toContain("second -> first");
});

test("after the crash point every call throws, and the next process works on what is left", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "abc");
  const next = disk.crash();
  await expect(file.read(new Uint8Array(1), 0)).rejects.toBeInstanceOf(SimulatedCrash);
  await expect(disk.list("/")).rejects.toBeInstanceOf(SimulatedCrash);
  await file.close();
  expect(filesOf(next)).toEqual({ "/a": "abc" });
  await makeFile(next, "/b", "b");
  expect(filesOf(disk)).toEqual({ "/a": "abc" });
});

test("a random sequence of synced appends survives every power cut, and what survives is a prefix per sector", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ length: fc.integer({ min: 1, max: 900 }), isSynced: fc.boolean() }), {
        maxLength: 12,
      }),
      fc.nat(),
      async (appends, seed) => {
        const { disk } = makeDisk();
        const file = await makeFile(disk, "/a", "");
        let size = 0;
        let syncedSize = 0;
        for (const { length, isSynced } of appends) {
          await writeFully(file, [new Uint8Array(length).fill(7)], size);
          size += length;
          if (isSynced) {
            await file.sync();
            syncedSize = size;
          }
        }
        const left =
          disk
            .crash(randomCrash(new SeededRandom(seed)))
            .snapshotFiles()
            .get("/a") ?? new Uint8Array(0);
        expect(left.byteLength).toBeGreaterThanOrEqual(syncedSize);
        expect(left.byteLength).toBeLessThanOrEqual(size);
        expect(left.subarray(0, syncedSize).every((byte) => byte === 7)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test("a failed sync loses the data though the next sync succeeds and reads still see it (H45)", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "abc");
  await file.write([bytes("def")], 3);
  const fault = disk.faults.arm({
    kind: "error",
    operations: ["sync"],
    errno: "EIO",
    path: (path) => path === "/a",
  });
  await expect(file.sync()).rejects.toMatchObject({
    code: "DISK_SYNC_FAILED",
    context: { path: "/a", errno: "EIO" },
  });
  await file.sync();
  expect(fault.hits).toBe(1);
  expect(filesOf(disk)).toEqual({ "/a": "abcdef" });
  expect(filesOf(disk.crash(keepAll))).toEqual({ "/a": "abc" });
});

test("errors are armed for an operation and a path, after some calls, once or for ever", async () => {
  const { disk } = makeDisk();
  const a = await makeFile(disk, "/a", "abc");
  const b = await makeFile(disk, "/b", "abc");
  const target = new Uint8Array(1);
  const isA = (path: string): boolean => path === "/a";
  disk.faults.arm({ kind: "error", operations: ["read"], errno: "EIO", path: isA, skip: 1 });
  expect(await a.read(target, 0)).toBe(1);
  await expect(a.read(target, 0)).rejects.toMatchObject({ code: "DISK_READ_FAILED" });
  expect(await a.read(target, 0)).toBe(1);
  expect(await b.read(target, 0)).toBe(1);
  const sticky = disk.faults.arm({
    kind: "error",
    operations: ["write"],
    errno: "EIO",
    times: Number.POSITIVE_INFINITY,
  });
  for (let i = 0; i < 3; i++)
    await expect(b.write([target], 0)).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
  expect(sticky.hits).toBe(3);
  sticky.disarm();
  expect(await b.write([target], 0)).toBe(1);
});

test("a full disk takes what fits, then fails, and works again when space is freed", async () => {
  const { disk } = makeDisk({ capacityBytes: 10 });
  const a = await makeFile(disk, "/a", "1234567");
  const b = await makeFile(disk, "/b", "");
  expect(await b.write([bytes("ab"), bytes("cdef")], 0)).toBe(3);
  await expect(b.write([bytes("x")], 3)).rejects.toMatchObject({ code: "DISK_FULL", retriable: true });
  expect(await disk.freeBytes("/")).toBe(0);
  expect(await a.write([bytes("overwrite"), bytes("")], 0)).toBe(7);
  await disk.remove("/a");
  expect(await disk.freeBytes("/"), "an open file keeps its space").toBe(0);
  await a.close();
  expect(await disk.freeBytes("/")).toBe(7);
  await writeFully(b, [bytes("x")], 3);
  expect(filesOf(disk)).toEqual({ "/b": "abcx" });
});

test("space is counted through truncate, rename over a file, removal and a crash", async () => {
  const { disk } = makeDisk({ capacityBytes: 100 });
  await (await makeFile(disk, "/a", "12345678")).truncate(5);
  await (await makeFile(disk, "/b", "123")).close();
  expect(await disk.freeBytes("/")).toBe(92);
  const b = await disk.open("/b", "read");
  await disk.rename("/a", "/b");
  expect(await disk.freeBytes("/")).toBe(92);
  await b.close();
  expect(await disk.freeBytes("/")).toBe(95);
  expect(await disk.crashKeepingAll().freeBytes("/")).toBe(95);
});

test("ENOSPC can be armed at any byte: a short write up to it, errors after it", async () => {
  for (let limit = 0; limit <= 6; limit++) {
    const { disk } = makeDisk();
    const file = await makeFile(disk, "/a", "");
    disk.faults.arm({ kind: "full", afterBytes: limit });
    const writing = writeFully(file, [bytes("abc"), bytes("def")], 0);
    if (limit < 6) await expect(writing).rejects.toMatchObject({ code: "DISK_FULL" });
    else await writing;
    expect(filesOf(disk)["/a"]).toBe("abcdef".slice(0, limit));
  }
});

test("short writes are looped over by writeFully", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "");
  const fault = disk.faults.arm({ kind: "short", maxBytes: 2, times: Number.POSITIVE_INFINITY });
  await writeFully(file, [bytes("abc"), bytes("d"), bytes("efg")], 0);
  expect(filesOf(disk)["/a"]).toBe("abcdefg");
  expect(fault.hits).toBe(3);
});

test("bit rot changes one bit, now and after a crash", async () => {
  const { disk } = makeDisk();
  await makeFile(disk, "/a", "aaa");
  disk.flipBit("/a", 8 + 1);
  expect(filesOf(disk)["/a"]).toBe("aca");
  expect(filesOf(disk.crashDroppingAll())["/a"]).toBe("aca");
  expect(() => disk.flipBit("/no", 0)).toThrow(/ENOENT/);
});

test("a misdirected write is where it should be until the crash, and elsewhere after it", async () => {
  const { disk } = makeDisk();
  const file = await makeFile(disk, "/a", "........");
  disk.faults.arm({ kind: "misdirect", byBytes: 4 });
  await writeFully(file, [bytes("XY")], 1);
  await file.sync();
  expect(filesOf(disk)["/a"]).toBe(".XY.....");
  expect(filesOf(disk.crashDroppingAll())["/a"]).toBe(".....XY.");
});

test("a slow operation takes its time on the clock, others do not", async () => {
  const { disk, scheduler } = makeDisk();
  const file = await makeFile(disk, "/a", "");
  disk.faults.arm({ kind: "slow", operations: ["sync"], delayMs: 250 });
  await scheduler.settle(file.sync(), 1_000);
  expect(scheduler.nowMs).toBe(250);
  await file.sync();
});

test("a sync covers what was written before it was called, not a write that was under way", async () => {
  const { disk, scheduler } = makeDisk({ latency: { minMs: 1, maxMs: 5 } });
  const file = await scheduler.settle(disk.open("/a", "create"), 100);
  await scheduler.settle(disk.syncDir("/"), 100);
  await scheduler.settle(file.write([bytes("before")], 0), 100);
  disk.faults.arm({ kind: "slow", operations: ["sync"], delayMs: 50 });
  const both = Promise.all([file.write([bytes(" during")], 6), file.sync()]);
  await scheduler.settle(both, 100);
  expect(filesOf(disk.imageAfter(dropAll))["/a"]).toBe("before");
  expect(filesOf(disk.imageAfter(keepAll))["/a"]).toBe("before during");
});

test("under latency operations on different files end in an order that the seed decides", async () => {
  const orderOf = async (seed: number): Promise<string> => {
    const { disk, scheduler } = makeDisk({ latency: { minMs: 0, maxMs: 10 } }, seed);
    const order: string[] = [];
    const names = ["a", "b", "c", "d"];
    const opening = names.map((name) => disk.open(`/${name}`, "create").then(() => order.push(name)));
    await scheduler.settle(Promise.all(opening), 100);
    return order.join("");
  };
  expect(await orderOf(3)).toBe(await orderOf(3));
  expect(
    new Set([await orderOf(1), await orderOf(2), await orderOf(3), await orderOf(4)]).size,
  ).toBeGreaterThan(1);
});

test("a process that crashes while it waits for the disk never hears from it, and the write did not happen", async () => {
  const { disk, scheduler } = makeDisk({ latency: { minMs: 1, maxMs: 1 } });
  const file = await scheduler.settle(disk.open("/a", "create"), 10);
  const writing = file.write([bytes("abc")], 0);
  const after = disk.crashKeepingAll();
  await expect(scheduler.settle(writing, 10)).rejects.toBeInstanceOf(SimulatedCrash);
  expect(filesOf(after)).toEqual({ "/a": "" });
});

test("operations are counted by kind", async () => {
  const { disk } = makeDisk();
  await makeFile(disk, "/a", "abc");
  const counts = { open: 1, create: 1, write: 1, sync: 1, syncDir: 1 };
  expect(Object.fromEntries(disk.operationCounts)).toEqual(counts);
  expect(disk.mutationCount).toBe(4);
});
