import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readFully, writeFully } from "../../src/platform/disk.ts";
import type { Disk, DiskFile } from "../../src/platform/disk.ts";

/** A disk under test with an empty directory on it. */
export interface DiskFixture {
  readonly disk: Disk;
  /** The empty directory. */
  readonly root: string;
  /** Takes a lock in another process; `kill` ends that process without releasing and answers the disk to go on with. */
  lockElsewhere(path: string, owner: string): Promise<{ readonly pid: number; kill(): Promise<Disk> }>;
  readonly dispose: () => Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function contentOf(file: DiskFile): Promise<string> {
  const target = new Uint8Array(await file.sizeBytes());
  expect(await readFully(file, target, 0)).toBe(target.byteLength);
  return new TextDecoder().decode(target);
}

/** What every disk does, real or simulated. */
export function diskContract(name: string, create: () => Promise<DiskFixture>): void {
  describe(`${name} keeps the disk contract`, () => {
    let fixture: DiskFixture;
    let disk: Disk;
    let root: string;

    beforeEach(async () => {
      fixture = await create();
      ({ disk, root } = fixture);
    });
    afterEach(async () => {
      await fixture.dispose();
    });

    const put = async (path: string, text: string): Promise<void> => {
      const file = await disk.open(path, "create");
      await file.truncate(0);
      await writeFully(file, [bytes(text)], 0);
      await file.close();
    };
    const get = async (path: string): Promise<string> => {
      const file = await disk.open(path, "read");
      const text = await contentOf(file);
      await file.close();
      return text;
    };

    test("many chunks are written in order at a position, empty ones included", async () => {
      const file = await disk.open(`${root}/a`, "createNew");
      await writeFully(file, [bytes("......")], 0);
      await writeFully(file, [bytes("12"), bytes(""), bytes("3"), bytes("4")], 1);
      expect(await contentOf(file)).toBe(".1234.");
      await file.close();
    });

    test("a list of more chunks than the system takes at once is written whole by writeFully", async () => {
      const chunks = Array.from({ length: 2_600 }, (_, i) => bytes(String(i % 10)));
      const file = await disk.open(`${root}/a`, "createNew");
      await writeFully(file, chunks, 0);
      expect(await contentOf(file)).toBe(chunks.map((_, i) => String(i % 10)).join(""));
      await file.close();
    });

    test("writing nothing answers 0 and changes nothing", async () => {
      const file = await disk.open(`${root}/a`, "createNew");
      expect(await file.write([], 10)).toBe(0);
      expect(await file.write([bytes("")], 10)).toBe(0);
      expect(await file.sizeBytes()).toBe(0);
      await file.close();
    });

    test("a write beyond the end fills the gap with zeros", async () => {
      const file = await disk.open(`${root}/a`, "createNew");
      await writeFully(file, [bytes("x")], 0);
      await writeFully(file, [bytes("y")], 5);
      expect(await contentOf(file)).toBe("x\0\0\0\0y");
      await file.close();
    });

    test("a file that was cut and grows again reads as zeros there", async () => {
      const file = await disk.open(`${root}/a`, "createNew");
      await writeFully(file, [bytes("abcdef")], 0);
      await file.truncate(2);
      await file.truncate(5);
      expect(await contentOf(file)).toBe("ab\0\0\0");
      await file.close();
    });

    test("a read is short at the end of the file and answers 0 past it", async () => {
      const file = await disk.open(`${root}/a`, "createNew");
      await writeFully(file, [bytes("abc")], 0);
      const target = new Uint8Array(10);
      expect(await readFully(file, target, 1)).toBe(2);
      expect(new TextDecoder().decode(target.subarray(0, 2))).toBe("bc");
      expect(await file.read(target, 3)).toBe(0);
      expect(await file.read(target, 1_000)).toBe(0);
      await file.close();
    });

    test("open modes: read and write need the file, createNew needs it missing, create takes both", async () => {
      const path = `${root}/a`;
      for (const mode of ["read", "write"] as const) {
        await expect(disk.open(path, mode)).rejects.toMatchObject({
          code: "DISK_READ_FAILED",
          context: { path, errno: "ENOENT" },
        });
      }
      await (await disk.open(path, "createNew")).close();
      await expect(disk.open(path, "createNew")).rejects.toMatchObject({
        code: "DISK_WRITE_FAILED",
        context: { path, errno: "EEXIST" },
      });
      await put(path, "kept");
      await (await disk.open(path, "create")).close();
      await (await disk.open(path, "write")).close();
      expect(await get(path)).toBe("kept");
    });

    test("a file opened for reading cannot be changed", async () => {
      await put(`${root}/a`, "kept");
      const file = await disk.open(`${root}/a`, "read");
      await expect(file.write([bytes("x")], 0)).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
      await expect(file.truncate(0)).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
      await file.close();
      expect(await get(`${root}/a`)).toBe("kept");
    });

    test("closing twice is one close, waits for calls in flight, and later calls fail with CLOSED", async () => {
      const file = await disk.open(`${root}/a`, "createNew");
      const writing = file.write([bytes("abc")], 0);
      await Promise.all([file.close(), file.close()]);
      expect(await writing).toBe(3);
      await expect(file.write([bytes("x")], 0)).rejects.toMatchObject({ code: "CLOSED" });
      await expect(file.read(new Uint8Array(1), 0)).rejects.toMatchObject({ code: "CLOSED" });
      await expect(file.sync()).rejects.toMatchObject({ code: "CLOSED" });
      expect(await get(`${root}/a`)).toBe("abc");
    });

    test("synced content and names are there for the next reader", async () => {
      const file = await disk.open(`${root}/a`, "createNew");
      await writeFully(file, [bytes("abc")], 0);
      await file.sync();
      await file.close();
      await disk.syncDir(root);
      expect(await get(`${root}/a`)).toBe("abc");
    });

    test("rename replaces the file at the target", async () => {
      await put(`${root}/new`, "new");
      await put(`${root}/old`, "old");
      await disk.rename(`${root}/new`, `${root}/old`);
      expect(await get(`${root}/old`)).toBe("new");
      expect(await disk.stat(`${root}/new`)).toBeUndefined();
    });

    test("renaming a directory takes along what is below", async () => {
      await disk.makeDir(`${root}/a/b`);
      await put(`${root}/a/b/f`, "x");
      await disk.rename(`${root}/a`, `${root}/c`);
      expect(await get(`${root}/c/b/f`)).toBe("x");
      expect(await disk.stat(`${root}/a`)).toBeUndefined();
    });

    test("an open file outlives its name", async () => {
      await put(`${root}/a`, "abc");
      const file = await disk.open(`${root}/a`, "read");
      await disk.remove(`${root}/a`);
      expect(await contentOf(file)).toBe("abc");
      await file.close();
    });

    test("renaming what is missing fails with the path and the cause", async () => {
      await expect(disk.rename(`${root}/no`, `${root}/b`)).rejects.toMatchObject({
        code: "DISK_WRITE_FAILED",
        context: { path: `${root}/no`, errno: "ENOENT" },
      });
    });

    test("list is sorted by name and tells directories from files", async () => {
      for (const file of ["b", "a10", "a2", "B"]) await put(`${root}/${file}`, "");
      await disk.makeDir(`${root}/aa`);
      expect(await disk.list(root)).toEqual([
        { name: "B", isDirectory: false },
        { name: "a10", isDirectory: false },
        { name: "a2", isDirectory: false },
        { name: "aa", isDirectory: true },
        { name: "b", isDirectory: false },
      ]);
      await expect(disk.list(`${root}/b`)).rejects.toMatchObject({ code: "DISK_READ_FAILED" });
      await expect(disk.list(`${root}/no`)).rejects.toMatchObject({ context: { errno: "ENOENT" } });
    });

    test("stat answers size and kind, and undefined for what is missing", async () => {
      await put(`${root}/a`, "abc");
      expect(await disk.stat(`${root}/a`)).toEqual({ sizeBytes: 3, isDirectory: false });
      expect(await disk.stat(root)).toMatchObject({ isDirectory: true });
      expect(await disk.stat(`${root}/no`)).toBeUndefined();
      expect(await disk.stat(`${root}/a/below`)).toBeUndefined();
    });

    test("makeDir makes missing parents and takes what exists", async () => {
      await disk.makeDir(`${root}/x/y/z`);
      await disk.makeDir(`${root}/x/y/z`);
      expect(await disk.stat(`${root}/x/y/z`)).toMatchObject({ isDirectory: true });
      await put(`${root}/f`, "");
      await expect(disk.makeDir(`${root}/f`)).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
    });

    test("remove and removeDir take what is missing; removeDir takes all below, remove takes no directory", async () => {
      await disk.remove(`${root}/no`);
      await disk.removeDir(`${root}/no`);
      await disk.makeDir(`${root}/x/y`);
      await put(`${root}/x/y/f`, "1");
      await put(`${root}/x/f`, "2");
      await expect(disk.remove(`${root}/x`)).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
      await disk.removeDir(`${root}/x`);
      expect(await disk.list(root)).toEqual([]);
    });

    test("a file in a missing directory cannot be created", async () => {
      await expect(disk.open(`${root}/no/f`, "create")).rejects.toMatchObject({
        code: "DISK_WRITE_FAILED",
        context: { errno: "ENOENT" },
      });
    });

    test("free space is a number of bytes", async () => {
      expect(await disk.freeBytes(root)).toBeGreaterThan(0);
    });

    test("a lock excludes a second taker in the same process until it is released", async () => {
      const path = `${root}/lock`;
      const held = await disk.lock(path, "node 7");
      await expect(disk.lock(path, "node 8")).rejects.toMatchObject({
        code: "DATA_DIR_LOCKED",
        context: { path, owner: "node 7" },
      });
      await held.release();
      await held.release();
      await (await disk.lock(path, "node 8")).release();
      expect(await disk.list(root)).toEqual([]);
    });

    test("a lock held by another process names it, and is taken over once that process is dead", async () => {
      const path = `${root}/lock`;
      const other = await fixture.lockElsewhere(path, "the other one");
      await expect(disk.lock(path, "me")).rejects.toMatchObject({
        code: "DATA_DIR_LOCKED",
        context: { pid: other.pid, owner: "the other one" },
      });
      const after = await other.kill();
      const held = await after.lock(path, "me");
      await expect(after.lock(path, "third")).rejects.toMatchObject({ context: { owner: "me" } });
      await held.release();
    });
  });
}
