import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startNode } from "../../../src/node.ts";
import type { StartedNode } from "../../../src/node.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { parseBrokerConfig } from "../../../src/model/configs.ts";
import type { ParsedBrokerConfig } from "../../../src/model/configs.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { samplesOf } from "../../broker/metrics/samples.ts";

let directory: string;
let node: StartedNode | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-http-"));
});

afterEach(async () => {
  await node?.close();
  node = undefined;
  await rm(directory, { recursive: true, force: true });
});

function configOf(httpPort: number): ParsedBrokerConfig {
  const parsed = parseBrokerConfig({
    "log.dirs": directory,
    listeners: "CLIENT://127.0.0.1:0",
    "http.host": "127.0.0.1",
    "http.port": String(httpPort),
  });
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("; "));
  return parsed;
}

async function get(path: string, method = "GET"): Promise<{ status: number; text: string; type: string }> {
  const response = await fetch(`http://127.0.0.1:${node?.httpPort ?? 0}${path}`, { method });
  const type = response.headers.get("content-type") ?? "";
  return { status: response.status, text: await response.text(), type };
}

describe("the HTTP port of a broker", () => {
  test("answers every page, and says what there is when asked for another", async () => {
    node = await startNode(configOf(0), { logger: silentLogger });
    for (const path of ["/livez", "/startupz", "/readyz", "/healthz", "/healthz?verbose"]) {
      expect((await get(path)).status, path).toBe(200);
    }
    expect(JSON.parse((await get("/healthz?verbose")).text)).toMatchObject({ nodeId: 1, isReady: true });
    const metrics = await get("/metrics");
    expect(metrics.type).toBe("text/plain; version=0.0.4; charset=utf-8");
    const samples = samplesOf(metrics.text);
    expect(samples.get("lograft_ready")).toBe(1);
    expect(samples.get("lograft_controller_leader")).toBe(1);
    expect(samples.get('lograft_connections{port="client"}')).toBe(0);
    expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(samplesOf((await get("/metrics/kafka")).text).get("kafka_brokers")).toBe(1);
    const other = await get("/nothing");
    expect([other.status, other.text]).toEqual([404, expect.stringContaining("/readyz")]);
    expect((await get("/readyz", "HEAD")).text).toBe("");
    expect((await get("/readyz", "POST")).status).toBe(404);
  });

  test("a port in use is told as such, and nothing is left open", async () => {
    await using holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, "127.0.0.1", resolve);
    });
    const { port } = holder.address() as AddressInfo;
    await expect(startNode(configOf(port), { logger: silentLogger })).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
    });
    // The data directory was not taken.
    node = await startNode(configOf(0), { logger: silentLogger });
    expect((await get("/readyz")).status).toBe(200);
  });

  test("leaves the global Request and Response as they are", async () => {
    const [request, response] = [globalThis.Request, globalThis.Response];
    node = await startNode(configOf(0), { logger: silentLogger });
    expect([globalThis.Request === request, globalThis.Response === response]).toEqual([true, true]);
  });

  test("is closed with the broker", async () => {
    node = await startNode(configOf(0), { logger: silentLogger });
    await get("/livez");
    await node.close();
    await expect(get("/livez")).rejects.toThrow();
  });
});
