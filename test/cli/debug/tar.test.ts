import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tarArchive } from "../../../src/cli/debug/tar.ts";

const run = promisify(execFile);

test("tar itself unpacks every file with its content and time, whatever its size", async () => {
  const sizes = [0, 1, 511, 512, 513, 100_000];
  const entries = sizes.map((size) => ({
    name: `folder/of-${size}`,
    content: Buffer.alloc(size, `${size} `),
  }));
  const directory = await mkdtemp(join(tmpdir(), "lograft-tar-"));
  try {
    await writeFile(join(directory, "a.tar"), tarArchive(entries, Date.UTC(2026, 0, 2, 3, 4, 5)));
    const { stderr } = await run("tar", ["-xf", "a.tar"], { cwd: directory });
    expect(stderr).toBe("");
    for (const { name, content } of entries) {
      expect((await readFile(join(directory, name))).equals(content), name).toBe(true);
      const { mode, mtime } = await stat(join(directory, name));
      expect([mode & 0o777, mtime.toISOString()]).toEqual([0o600, "2026-01-02T03:04:05.000Z"]);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("a name that does not fit is refused, not cut", () => {
  expect(() => tarArchive([{ name: "n".repeat(101), content: Buffer.alloc(0) }], 0)).toThrow(RangeError);
});
