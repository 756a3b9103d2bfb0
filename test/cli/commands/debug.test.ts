import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BrokerProcess } from "../../../src/chaos/broker-process.ts";
import { freePort } from "../../../src/chaos/free-port.ts";
import { LograftClient } from "../../../src/client/index.ts";
import { cli } from "../harness.ts";

const run = promisify(execFile);

/** Of tests that start brokers of their own. */
const TIMEOUT_MS = 90_000;

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-bundle-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** What is in the archive, by name, as tar unpacks it. */
async function unpacked(archive: string): Promise<Map<string, string>> {
  await run("tar", ["-xzf", archive, "--strip-components=1", "--one-top-level=unpacked"], { cwd: directory });
  const root = join(directory, "unpacked");
  const found = new Map<string, string>();
  for (const name of await readdir(root, { recursive: true })) {
    if ((await stat(join(root, name))).isFile()) found.set(name, await readFile(join(root, name), "utf8"));
  }
  return found;
}

test(
  "one archive with all that a cluster and a machine say, and neither a record nor a secret",
  async () => {
    const [port, httpPort] = [await freePort(), await freePort()];
    const data = join(directory, "data");
    const settings = [`http.port=${httpPort}`, "http.host=127.0.0.1"];
    await using broker = await BrokerProcess.start({ dataDirectory: data, port, settings });
    {
      await using client = new LograftClient({ brokers: [broker.address] });
      const headers = [{ key: "h", value: "RECORD-header" }];
      await client.producer().send("orders", { key: "RECORD-key", value: "RECORD-value", headers });
      await using consumer = client.consumer({
        groupId: "billing",
        topics: ["orders"],
        autoOffsetReset: "earliest",
      });
      for await (const record of consumer.messages()) {
        expect(record.value?.toString()).toBe("RECORD-value");
        break;
      }
    }
    const log = join(directory, "broker.log");
    await writeFile(log, "started\nlogin with password=hunter2 refused\n");
    const out = join(directory, "bundle.tar.gz");
    const args = [
      "debug",
      "bundle",
      "-b",
      broker.address,
      "--out",
      out,
      "--log",
      log,
      "--log",
      join(directory, "none"),
    ];
    const { code, stdout, stderr } = await cli([
      ...args,
      "--data-dir",
      data,
      "--set",
      `listeners=CLIENT://127.0.0.1:${port}`,
    ]);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^not there: local\/log-2-none: ENOENT/) as unknown,
    });
    expect((await stat(out)).mode & 0o777).toBe(0o600);

    const files = await unpacked(out);
    expect([...files.keys()].sort()).toEqual([
      "brokers/1/config.json",
      "brokers/1/healthz.json",
      "brokers/1/metrics-kafka.txt",
      "brokers/1/metrics.txt",
      "brokers/1/node.json",
      "cluster.json",
      "doctor.json",
      "groups.json",
      "local/config.properties",
      "local/data-directory.txt",
      "local/log-1-broker.log",
      "manifest.json",
      "partitions-in-trouble.json",
      "quorum.json",
      "reassignments.json",
      "topics.json",
    ]);
    for (const name of files.keys()) if (name !== "manifest.json") expect(stdout).toContain(name);
    expect(files.get("local/data-directory.txt")).toMatch(/^\d+ \S+ orders-0\/0{20}\.log$/m);
    expect(files.get("local/log-1-broker.log")).toBe("started\nlogin with password=[redacted] refused\n");
    expect(files.get("local/config.properties")).toMatch(
      /^listeners=CLIENT:\/\/127\.0\.0\.1:\d+ {2}# --set listeners$/m,
    );
    expect(files.get("groups.json")).toContain("billing");
    expect(files.get("brokers/1/metrics.txt")).toContain("lograft_build_info");
    const all = [...files.values()].join("\n");
    expect(all).not.toMatch(/RECORD-|hunter2/);

    const again = await cli(args);
    expect(again).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/bundle\.tar\.gz: cannot be written.*name another/) as unknown,
    });
  },
  TIMEOUT_MS,
);

test(
  "nobody there: what this machine knows is in the archive, and why the rest is not; exit 7",
  async () => {
    const out = join(directory, "bundle.tar.gz");
    const server = `127.0.0.1:${await freePort()}`;
    const { code, stdout } = await cli([
      "debug",
      "bundle",
      "-b",
      server,
      "--out",
      out,
      "--json",
      "--timeout",
      "2s",
    ]);
    expect(code).toBe(7);
    const { missing } = JSON.parse(stdout) as { missing: { name: string }[] };
    expect(missing.map(({ name }) => name)).toEqual(["cluster.json"]);
    const files = await unpacked(out);
    expect([...files.keys()].sort()).toEqual(["doctor.json", "manifest.json"]);
    expect(files.get("doctor.json")).toContain("nothing listens there");
  },
  TIMEOUT_MS,
);
