import { describe, expect, test } from "vitest";

import { isTemporaryName, readIfPresent, writeAtomically } from "../../src/platform/atomic-file.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import type { SimDiskDeps } from "../../src/sim/sim-disk.ts";
import { CrashPoint, SimulatedCrash } from "../../src/sim/simulated-crash.ts";

const PATH = "/data/checkpoint";
const OLD = Buffer.from("an old content that is longer than the new one");
const NEW = Buffer.from("new content");

function depsOf(seed: number): SimDiskDeps {
  return { clock: new SimClock({}, { scheduler: new Scheduler() }), random: new SeededRandom(seed) };
}

describe("small files", () => {
  test("are read whole, and undefined when missing", async () => {
    const disk = new SimDisk({}, depsOf(1));
    await disk.makeDir("/data");
    expect(await readIfPresent(disk, PATH)).toBeUndefined();
    await writeAtomically(disk, PATH, OLD);
    await writeAtomically(disk, PATH, NEW);
    expect(await readIfPresent(disk, PATH)).toEqual(NEW);
    expect((await disk.list("/data")).map((entry) => entry.name)).toEqual(["checkpoint"]);
  });

  test("are written whole through short writes", async () => {
    const disk = new SimDisk({}, depsOf(1));
    await disk.makeDir("/data");
    const fault = disk.faults.arm({ kind: "short", maxBytes: 3, times: Number.POSITIVE_INFINITY });
    await writeAtomically(disk, PATH, OLD);
    expect(fault.hits).toBeGreaterThan(3);
    expect(await readIfPresent(disk, PATH)).toEqual(OLD);
  });

  test("hold the old or the new content after a power cut at any operation, and the new one once written (H49)", async () => {
    let operations = 0;
    for (let seed = 0; seed < 12; seed++) {
      for (let after = 0; ; after++) {
        const first = new SimDisk({}, depsOf(seed));
        await first.makeDir("/data");
        await first.syncDir("/");
        await writeAtomically(first, PATH, OLD);
        // A longer temporary file that an earlier crash left.
        const left = await first.open(`${PATH}.tmp`, "create");
        await left.write([Buffer.alloc(100, 0x78)], 0);
        await left.sync();
        await left.close();
        const deps = depsOf(seed * 100 + after);
        const disk = first.crash(undefined, { ...deps, crashPoint: new CrashPoint(after) });
        const isDone = await writeUntilCrash(disk);
        const next = disk.crash(undefined, depsOf(seed * 100 + after));
        const content = (await readIfPresent(next, PATH))?.toString();
        expect(isDone ? [NEW.toString()] : [OLD.toString(), NEW.toString()], `after ${after}`).toContain(
          content,
        );
        operations = Math.max(operations, after);
        if (isDone) break;
      }
    }
    expect(operations).toBeGreaterThan(3);
  });

  test("keep the old content when a step fails, and the failure is told", async () => {
    for (const operation of ["create", "write", "sync", "rename"] as const) {
      const disk = new SimDisk({}, depsOf(1));
      await disk.makeDir("/data");
      await writeAtomically(disk, PATH, OLD);
      const fault = disk.faults.arm({ kind: "error", operations: [operation], errno: "EIO" });
      await expect(writeAtomically(disk, PATH, NEW), operation).rejects.toMatchObject({ code: /^DISK_/ });
      expect(fault.hits, operation).toBe(1);
      expect(await readIfPresent(disk, PATH), operation).toEqual(OLD);
    }
  });

  test("left over by a crash are told by their name", () => {
    expect(isTemporaryName("checkpoint.tmp")).toBe(true);
    expect(isTemporaryName("checkpoint")).toBe(false);
  });
});

/** Writes the new content; whether it came through before the process died. */
async function writeUntilCrash(disk: SimDisk): Promise<boolean> {
  try {
    await writeAtomically(disk, PATH, NEW);
    return true;
  } catch (error: unknown) {
    expect(error).toBeInstanceOf(SimulatedCrash);
    return false;
  }
}
