import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DevDirectory } from "../../../src/cli/dev-cluster/dev-directory.ts";
import { planCluster } from "../../../src/cli/dev-cluster/plan.ts";

const state = {
  plan: planCluster({ count: 2, basePort: 7000, settings: ["a=b"] }),
  supervisorPid: 12,
  controlPath: "/tmp/x.sock",
  pids: { 1: 34, 2: 56 },
};

let path = "";

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "lograft-dev-"));
});

afterEach(async () => {
  await rm(path, { recursive: true, force: true });
});

test("what is written is read back", async () => {
  const directory = new DevDirectory(path);
  expect(await directory.read()).toBeUndefined();
  await directory.write(state);
  expect(await directory.read()).toEqual(state);
  expect(await readdir(path)).toEqual(["dev.json"]);
});

test("a directory that is not there holds no cluster, and can be made", async () => {
  const directory = new DevDirectory(join(path, "deep", "er"));
  expect(await directory.read()).toBeUndefined();
  await expect(directory.readExisting()).rejects.toThrow("make one with: lograft dev up");
  await directory.create();
  expect(await readdir(directory.path)).toEqual([]);
});

describe("a directory that holds something else is refused", () => {
  test("the data of a single broker", async () => {
    await writeFile(join(path, "meta.properties"), "");
    await expect(new DevDirectory(path).create()).rejects.toThrow(
      `the data of a single broker; choose another directory with --dir, or start that broker with: lograft start --data-dir ${path}`,
    );
  });

  test("other files", async () => {
    await writeFile(join(path, "thesis.tex"), "");
    await expect(new DevDirectory(path).create()).rejects.toThrow("holds other files (thesis.tex)");
  });
});

test.each(["", "{", "[]", '{"format":2}', '{"format":1,"plan":{"nodes":[],"settings":[]}}', "null"])(
  "a dev.json of %j is refused, not guessed at",
  async (text) => {
    await writeFile(join(path, "dev.json"), text);
    await expect(new DevDirectory(path).read()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  },
);

test("purging removes what dev made, and leaves what it did not", async () => {
  const directory = new DevDirectory(path);
  await directory.write(state);
  await mkdir(join(path, "node-1", "orders-0"), { recursive: true });
  await writeFile(join(path, "node-1.log"), "");
  await writeFile(join(path, "supervisor.log"), "");
  await writeFile(join(path, "notes.txt"), "mine");
  await directory.purge();
  expect(await readdir(path)).toEqual(["notes.txt"]);
});

test("purging removes the directory when nothing else is in it", async () => {
  const directory = new DevDirectory(join(path, "cluster"));
  await directory.create();
  await directory.write(state);
  await directory.purge();
  expect(await readdir(path)).toEqual([]);
});

test("the default directory needs no option in a hint, another one does", () => {
  expect(new DevDirectory("./lograft-data").option).toBe("");
  expect(new DevDirectory("elsewhere").option).toBe(" --dir elsewhere");
});
