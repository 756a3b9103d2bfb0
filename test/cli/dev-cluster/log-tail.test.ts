import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LogTail } from "../../../src/cli/dev-cluster/log-tail.ts";

let directory = "";
let path = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-tail-"));
  path = join(directory, "node-1.log");
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("lines come once, and a line only when its end is there", async () => {
  const tail = new LogTail(path, 0);
  expect(await tail.read()).toEqual([]);
  await writeFile(path, "one\ntwo\nthr");
  expect(await tail.read()).toEqual(["one", "two"]);
  expect(await tail.read()).toEqual([]);
  await appendFile(path, "ee\n\nfour\n");
  expect(await tail.read()).toEqual(["three", "", "four"]);
});

test("reading begins at the position", async () => {
  await writeFile(path, "old\nnew\n");
  expect(await new LogTail(path, 4).read()).toEqual(["new"]);
});

test("a letter of several bytes that was written in two pieces stays whole", async () => {
  const tail = new LogTail(path, 0);
  const bytes = Buffer.from("日\n");
  await writeFile(path, bytes.subarray(0, 2));
  expect(await tail.read()).toEqual([]);
  await appendFile(path, bytes.subarray(2));
  expect(await tail.read()).toEqual(["日"]);
});

test("a log that was emptied is read from its start", async () => {
  await writeFile(path, "a long line of the past\n");
  const tail = new LogTail(path, 0);
  await tail.read();
  await writeFile(path, "new\n");
  expect(await tail.read()).toEqual(["new"]);
});

test("a line without an end is given out in bounded pieces", async () => {
  await writeFile(path, "x".repeat(200 * 1024));
  const tail = new LogTail(path, 0);
  let length = 0;
  for (let reads = 0; reads < 6; reads++) for (const line of await tail.read()) length += line.length;
  expect(length).toBeGreaterThanOrEqual(128 * 1024);
});
