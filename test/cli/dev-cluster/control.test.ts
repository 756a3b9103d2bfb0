import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { operationError } from "../../../src/base/errors.ts";
import { askSupervisor, ControlServer, controlPathOf } from "../../../src/cli/dev-cluster/control.ts";
import type { ControlRequest } from "../../../src/cli/dev-cluster/control.ts";

const nodes = [{ nodeId: 1, pid: 7, state: "running", client: "h:1", peer: "h:2" }] as const;
const bounds = { timeoutMs: 5000, signal: new AbortController().signal };

let directory = "";
let path = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-control-"));
  path = join(directory, "c.sock");
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("a request reaches the supervisor and its answer comes back", async () => {
  const seen: ControlRequest[] = [];
  await using _server = await ControlServer.listen(path, (request) => {
    seen.push(request);
    return Promise.resolve(nodes);
  });
  const request = { command: "stop", nodeId: 1, isKill: true } as const;
  expect(await askSupervisor(path, request, bounds)).toEqual(nodes);
  expect(seen).toEqual([request]);
});

test("what the supervisor throws is thrown at the asker, with its code", async () => {
  await using _server = await ControlServer.listen(path, () =>
    Promise.reject(operationError("ADDRESS_IN_USE", "9092 is in use")),
  );
  await expect(askSupervisor(path, { command: "add", count: 1 }, bounds)).rejects.toMatchObject({
    code: "ADDRESS_IN_USE",
    message: "9092 is in use",
  });
});

test("without a supervisor there is no answer", async () => {
  expect(await askSupervisor(path, { command: "status" }, bounds)).toBeUndefined();
});

test("a second supervisor is refused, and the first goes on", async () => {
  await using _server = await ControlServer.listen(path, () => Promise.resolve(nodes));
  await expect(ControlServer.listen(path, () => Promise.resolve([]))).rejects.toMatchObject({
    code: "DATA_DIR_LOCKED",
  });
  expect(await askSupervisor(path, { command: "status" }, bounds)).toEqual(nodes);
});

test("a socket left by a supervisor that was killed is taken over", async () => {
  await writeFile(path, "");
  await using _server = await ControlServer.listen(path, () => Promise.resolve(nodes));
  expect(await askSupervisor(path, { command: "status" }, bounds)).toEqual(nodes);
});

test("a supervisor that ends before it answers is told apart from one that refuses", async () => {
  const server = await ControlServer.listen(path, () => new Promise(() => undefined));
  const asked = askSupervisor(path, { command: "status" }, bounds);
  const refused = expect(asked).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
  // The answer to a second request shows that the server has the first: both came over the same listener, in order.
  await expect(
    askSupervisor(path, { command: "status" }, { ...bounds, timeoutMs: 20 }),
  ).rejects.toMatchObject({
    code: "TIMEOUT",
  });
  await server[Symbol.asyncDispose]();
  await refused;
});

test("the path depends on the directory and is short enough for a socket", () => {
  const paths = [controlPathOf("/a"), controlPathOf("/b"), controlPathOf(`/${"x".repeat(500)}`)];
  expect(new Set(paths).size).toBe(3);
  for (const one of paths) expect(one.length).toBeLessThan(100);
});
