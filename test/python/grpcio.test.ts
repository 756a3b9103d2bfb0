import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { startBroker } from "../../src/testing.ts";

/*
 * A client in another language proves the contract. It needs Python 3 with venv and the packages grpcio and
 * grpcio-tools, which it installs into a folder of its own; where that cannot be done the test says so and is skipped.
 */
const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const VENV = join(ROOT, "node_modules", ".cache", "python-grpcio");
const PYTHON = join(VENV, "bin", "python");
let missing: string | undefined;

beforeAll(async () => {
  try {
    if (!existsSync(join(VENV, "ready"))) {
      await run("python3", ["-m", "venv", VENV]);
      await run(PYTHON, [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "grpcio",
        "grpcio-tools",
      ]);
      await run("touch", [join(VENV, "ready")]);
    }
    await run(PYTHON, ["-c", "import grpc, grpc_tools"]);
  } catch (error) {
    missing = error instanceof Error ? error.message.split("\n")[0] : String(error);
    process.stderr.write(
      `\n*** NOT SHOWN: the contract with Python's grpcio; it could not be installed: ${missing}\n\n`,
    );
  }
}, 300_000);

describe("a client in Python, from the .proto files alone", () => {
  test("Publish, Subscribe, Produce, Fetch and the unary calls work", async () => {
    if (missing !== undefined) return;
    await using broker = await startBroker();
    expect(await contract(broker, "all")).toMatchObject({
      created: [0, 17],
      subscribed: 100,
      durability: "DURABILITY_SYNCED",
      fetched: 500,
    });
  }, 60_000);

  test("Produce and Fetch work when the listener sends everything to the direct lane", async () => {
    if (missing !== undefined) return;
    const directory = await mkdtemp(join(tmpdir(), "lograft-python-"));
    try {
      {
        await using broker = await startBroker({ dataDirectory: directory });
        await using client = new LograftClient({ brokers: [broker.address] });
        await client.admin().createTopics([{ name: "python", partitions: 2 }]);
      }
      await using broker = await startBroker({ dataDirectory: directory, isDirectOnly: true });
      expect(await contract(broker, "streams")).toMatchObject({
        durability: "DURABILITY_SYNCED",
        fetched: 500,
      });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }, 60_000);
});

async function contract(broker: RunningBroker, mode: "all" | "streams"): Promise<unknown> {
  const generated = await mkdtemp(join(tmpdir(), "lograft-python-"));
  try {
    const script = fileURLToPath(new URL("contract.py", import.meta.url));
    const { stdout } = await run(PYTHON, [script, join(ROOT, "proto"), generated, broker.address, mode]);
    return JSON.parse(stdout) as unknown;
  } finally {
    await rm(generated, { recursive: true, force: true });
  }
}
