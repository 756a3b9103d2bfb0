import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lastLines, listFiles } from "../../../src/cli/debug/local-files.ts";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-files-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("files are listed with size and path, directories by what is in them", async () => {
  await mkdir(join(directory, "orders-0"));
  await writeFile(join(directory, "orders-0", "0.log"), "secret record");
  await writeFile(join(directory, "meta.properties"), "x");
  const lines = (await listFiles(directory)).trimEnd().split("\n");
  expect(lines.map((line) => line.replace(/ \S+ /, " TIME "))).toEqual([
    "1 TIME meta.properties",
    "13 TIME orders-0/0.log",
  ]);
});

test("a directory that is not there is told in its place", async () => {
  expect(await listFiles(join(directory, "none"))).toMatch(/^\? \? \.: ENOENT/);
});

test("of a long log there are the last whole lines", async () => {
  const path = join(directory, "a.log");
  const lines = Array.from({ length: 40_000 }, (_, index) => `line ${index} ${"x".repeat(30)}`);
  await writeFile(path, lines.join("\n"));
  const text = await lastLines(path);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1024 * 1024);
  const kept = text.split("\n");
  expect(kept).toEqual(lines.slice(-kept.length));
  await writeFile(path, "short\n");
  expect(await lastLines(path)).toBe("short\n");
});
