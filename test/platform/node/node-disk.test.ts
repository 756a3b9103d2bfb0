import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readlinkSync } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LograftError } from "../../../src/base/errors.ts";
import { NodeDisk } from "../../../src/platform/node/node-disk.ts";
import { diskContract } from "../../contract/disk.ts";
import type { DiskFixture } from "../../contract/disk.ts";

const diskModule = new URL("../../../src/platform/node/node-disk.ts", import.meta.url).href;

async function createFixture(): Promise<DiskFixture> {
  const root = await fs.mkdtemp(join(tmpdir(), "lograft-disk-"));
  const disk = new NodeDisk();
  return {
    disk,
    root,
    lockElsewhere: async (path, owner) => {
      const code = `
        import { NodeDisk } from ${JSON.stringify(diskModule)};
        await new NodeDisk().lock(${JSON.stringify(path)}, ${JSON.stringify(owner)});
        process.stdout.write("locked");
        setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(child.stdout, "data");
      return {
        pid: child.pid ?? 0,
        kill: async () => {
          child.kill("SIGKILL");
          await once(child, "exit");
          return disk;
        },
      };
    },
    dispose: () => fs.rm(root, { recursive: true, force: true }),
  };
}

diskContract("NodeDisk", createFixture);

async function withRoot(body: (root: string) => Promise<void>): Promise<void> {
  const { root, dispose } = await createFixture();
  try {
    await body(root);
  } finally {
    await dispose();
  }
}

/** What a lock left by a process looks like: this very process, had it started at another time. */
const staleLock = (owner: string): string =>
  JSON.stringify({ pid: process.pid, startId: "another boot/1", owner, token: owner });

test("a lock of a process number that now belongs to another process is stale", async () => {
  await withRoot(async (root) => {
    const path = join(root, "lock");
    await fs.writeFile(path, staleLock("gone"));
    const held = await new NodeDisk().lock(path, "me");
    expect(await fs.readFile(path, "utf8")).toContain('"me"');
    await held.release();
    expect(await fs.readdir(root)).toEqual([]);
  });
});

test.each(["", "not json", '{"pid":"x"}', '{"pid":-1,"startId":"","owner":"","token":""}'])(
  "a lock file torn by a power cut (%j) is taken over",
  async (content) => {
    await withRoot(async (root) => {
      const path = join(root, "lock");
      await fs.writeFile(path, content);
      await (await new NodeDisk().lock(path, "me")).release();
      expect(await fs.readdir(root)).toEqual([]);
    });
  },
);

test("of many who take over a stale lock at once exactly one wins, each time", async () => {
  await withRoot(async (root) => {
    const path = join(root, "lock");
    for (let round = 0; round < 15; round++) {
      await fs.writeFile(path, staleLock(`gone ${round}`));
      const disk = new NodeDisk();
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, (_, i) => disk.lock(path, `taker ${i}`)),
      );
      const winners = results.filter((result) => result.status === "fulfilled");
      expect(winners, `round ${round}`).toHaveLength(1);
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "DATA_DIR_LOCKED" });
      }
      await winners[0]?.value.release();
      expect(await fs.readdir(root)).toEqual([]);
    }
  });
});

test("a guard left by a process that died in the middle of a take-over is taken over too", async () => {
  await withRoot(async (root) => {
    const path = join(root, "lock");
    await fs.writeFile(path, staleLock("gone"));
    await fs.writeFile(`${path}.takeover`, staleLock("died taking over"));
    const held = await new NodeDisk().lock(path, "me");
    expect(await fs.readdir(root)).toEqual(["lock"]);
    await held.release();
  });
});

test("releasing does not remove a lock that is another's by now", async () => {
  await withRoot(async (root) => {
    const path = join(root, "lock");
    const held = await new NodeDisk().lock(path, "me");
    await fs.writeFile(path, staleLock("someone else"));
    await held.release();
    expect(await fs.readFile(path, "utf8")).toContain("someone else");
  });
});

test.runIf(process.platform === "linux")(
  "a full device is DISK_FULL, retriable, with a next step",
  async () => {
    const file = await new NodeDisk().open("/dev/full", "write");
    const error: unknown = await file.write([Buffer.from("x")], 0).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(LograftError);
    expect(error).toMatchObject({
      code: "DISK_FULL",
      retriable: true,
      context: { path: "/dev/full", errno: "ENOSPC", syscall: "write" },
      message: expect.stringContaining("free space") as string,
      cause: { code: "ENOSPC" },
    });
    await file.close();
  },
);

test.runIf(process.platform === "linux")("a failed sync is DISK_SYNC_FAILED and stays so", async () => {
  // The kernel refuses to sync a character device: a failure without a broken disk.
  const file = await new NodeDisk().open("/dev/null", "write");
  const first: unknown = await file.sync().catch((e: unknown) => e);
  expect(first).toMatchObject({
    code: "DISK_SYNC_FAILED",
    context: { path: "/dev/null", syscall: "fdatasync" },
  });
  await expect(file.sync()).rejects.toBe(first);
  await file.close();
});

test.runIf(process.platform === "linux")(
  "after a failed sync the kernel is not asked again (H45)",
  async () => {
    await withRoot(async (root) => {
      const file = await new NodeDisk().open("/dev/null", "write");
      await expect(file.sync()).rejects.toMatchObject({ code: "DISK_SYNC_FAILED" });
      // Puts a file that can be synced under the same descriptor: the kernel would now say yes.
      const descriptor = (await fs.readdir("/proc/self/fd"))
        .map(Number)
        .findLast((fd) => targetOf(fd) === "/dev/null");
      closeSync(descriptor ?? -1);
      const below: number[] = [];
      const openHealthy = (): number => openSync(join(root, "healthy"), "w");
      for (let opened = openHealthy(); opened !== descriptor; opened = openHealthy()) below.push(opened);
      await expect(file.sync()).rejects.toMatchObject({ code: "DISK_SYNC_FAILED" });
      for (const opened of below) closeSync(opened);
      await file.close();
    });
  },
);

function targetOf(descriptor: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return undefined; // The descriptor of the listing itself, closed by now.
  }
}

test("the descriptor is closed after the writes in flight, never under them", async () => {
  await withRoot(async (root) => {
    const file = await new NodeDisk().open(join(root, "a"), "createNew");
    const order: string[] = [];
    const writing = file.write([new Uint8Array(32 * 1024 * 1024)], 0).then(() => order.push("written"));
    const closing = file.close().then(() => order.push("closed"));
    await Promise.all([writing, closing]);
    expect(order).toEqual(["written", "closed"]);
  });
});

test("a sync of a directory that is missing fails with the path", async () => {
  await expect(new NodeDisk().syncDir("/no/such/directory")).rejects.toMatchObject({
    context: { path: "/no/such/directory", errno: "ENOENT" },
  });
});
