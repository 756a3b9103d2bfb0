import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { replicaDigest } from "../../src/chaos/replica-digests.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import { patchBatch } from "../../src/model/record-batch.ts";
import { batch, record } from "../model/batches.ts";

const key = { topic: "t", partition: 0, name: "t-0" };
const FIRST = "00000000000000000000.log";
const SECOND = "00000000000000000002.log";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-digests-"));
  await mkdir(join(directory, "one", "t-0"), { recursive: true });
  await mkdir(join(directory, "other", "t-0"), { recursive: true });
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function batchAt(baseOffset: number): Buffer {
  const bytes = batch({ records: [record({ value: `at ${baseOffset}` })] });
  patchBatch(bytes, 0, offset(baseOffset), leaderEpoch(0));
  return bytes;
}

async function write(node: string, files: Readonly<Record<string, readonly Buffer[]>>): Promise<void> {
  for (const [name, batches] of Object.entries(files)) {
    await writeFile(join(directory, node, "t-0", name), Buffer.concat(batches));
  }
}

async function digest(node: string, end: number): Promise<string | undefined> {
  const line = await replicaDigest({ dataDirectory: join(directory, node), node: 1, key, end });
  return line?.digest;
}

test("the same batches give the same digest, whatever segments they lie in and whatever comes behind the end", async () => {
  await write("one", { [FIRST]: [batchAt(0), batchAt(1), batchAt(2)] });
  await write("other", { [FIRST]: [batchAt(0), batchAt(1)], [SECOND]: [batchAt(2), batchAt(3)] });
  expect(await digest("one", 3)).toBe(await digest("other", 3));
  expect(await digest("one", 2)).not.toBe(await digest("one", 3));
  expect(await digest("none", 3)).toBeUndefined();
});

test("every flipped bit below the end shows, those of a length included", async () => {
  await write("one", { [FIRST]: [batchAt(0), batchAt(1)] });
  const path = join(directory, "one", "t-0", FIRST);
  const good = await digest("one", 2);
  const bytes = await readFile(path);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 0x80;
    await writeFile(path, damaged);
    expect(await digest("one", 2), `byte ${at}`).not.toBe(good);
  }
});
