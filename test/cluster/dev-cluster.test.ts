import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import { DevProcess, freeBasePort, gone, runDev } from "./dev-process.ts";

/** Half the default, so that what waits for an election need not wait long. */
const FAST = ["--set", "raft.election.timeout.ms=500"];

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-dev-test-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test(
  "a cluster comes up, loses a broker, gets it back and a fourth one, and stops on Ctrl-C with 0",
  { timeout: 60_000 },
  async () => {
    const basePort = await freeBasePort(4);
    await using up = new DevProcess(directory, ["--base-port", String(basePort), ...FAST]);
    const ready = await up.ready();
    expect(ready.nodes.map((node) => node.client)).toEqual(
      [0, 2, 4].map((offset) => `127.0.0.1:${basePort + offset}`),
    );
    await using client = new LograftClient({ brokers: ready.nodes.map((node) => node.client) });
    await client.admin().createTopics([{ name: "kept", partitions: 3 }]);

    expect(await up.dev("stop", "2", "--kill")).toMatchObject({ code: 0 });
    expect((await up.status()).map((row) => [row.nodeId, row.state])).toEqual([
      [1, "running"],
      [2, "stopped"],
      [3, "running"],
    ]);
    expect(up.notes).toContain(
      `node 2 was ended by SIGKILL; start it again with: lograft dev start 2 --dir ${directory}`,
    );
    const stopped = await up.dev("stop", "2");
    expect(stopped.code).toBe(2);
    expect(stopped.stderr).toContain("node 2 is not running");
    expect(await up.dev("start", "2")).toMatchObject({ code: 0 });
    const added = await up.dev("add");
    expect(added.code).toBe(0);
    expect(added.stderr).toContain("joined: node 4");
    const rows = await up.status();
    expect(rows.map((row) => row.state)).toEqual(["running", "running", "running", "running"]);
    expect(rows.map((row) => row.role).toSorted()).toEqual(["controller", "observer", "voter", "voter"]);

    const logs = await up.dev("logs", "2");
    expect(logs.stdout).toContain("broker is up");
    expect(await up.dev("purge", "--yes")).toMatchObject({ code: 4 });
    expect(await up.end("SIGINT")).toBe(0);
    await gone(rows.map((row) => row.pid));

    await using again = new DevProcess(directory, []);
    expect((await again.ready()).nodes).toHaveLength(4);
    expect((await client.admin().listTopics()).map((topic) => topic.name)).toEqual(["kept"]);
    expect(await again.dev("down")).toMatchObject({ code: 0 });
    expect(await again.ended()).toBe(0);
    expect(await again.dev("purge", "--yes")).toMatchObject({ code: 0 });
    await expect(readdir(directory)).rejects.toMatchObject({ code: "ENOENT" });
  },
);

test("brokers do not outlive a supervisor that is killed with -9, and the cluster starts again", async () => {
  const basePort = String(await freeBasePort(1));
  await using up = new DevProcess(directory, ["--nodes", "1", "--base-port", basePort]);
  await up.ready();
  const [row] = await up.status();
  expect(row?.state).toBe("running");
  await up.end("SIGKILL");
  await using again = new DevProcess(directory, []);
  await again.ready();
  await gone([row?.pid ?? 0]);
  expect((await again.status())[0]?.state).toBe("running");
  expect(await again.end("SIGINT")).toBe(0);
});

test("a port in use is named before anything is started, and nothing is left behind", async () => {
  const basePort = await freeBasePort(3);
  const server = createServer();
  server.listen(basePort + 3, "127.0.0.1");
  await once(server, "listening");
  const target = join(directory, "new");
  const { code, stderr } = await runDev(["up", "--dir", target, "--base-port", String(basePort)]);
  server.close();
  expect(code).toBe(4);
  expect(stderr).toContain(`${basePort + 3} (peer port of node 2)`);
  expect(stderr).toContain("--base-port");
  await expect(readdir(target)).rejects.toMatchObject({ code: "ENOENT" });
});

test("an ephemeral cluster in the background leaves nothing behind when it is stopped", async () => {
  const target = join(directory, "short-lived");
  const args = ["--nodes", "1", "--base-port", String(await freeBasePort(1)), "--dir", target];
  expect(await runDev(["up", "--detach", "--ephemeral", ...args])).toMatchObject({ code: 0 });
  expect(await runDev(["up", "--dir", target])).toMatchObject({ code: 4 });
  expect(await runDev(["down", "--dir", target])).toMatchObject({ code: 0 });
  await expect(readdir(target)).rejects.toMatchObject({ code: "ENOENT" });
});
