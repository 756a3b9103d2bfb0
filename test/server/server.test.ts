import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { freePort } from "../../src/chaos/free-port.ts";
import { LograftClient } from "../../src/client/index.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import type { UnaryMethod, UnaryMethods } from "../../src/client/transport.ts";
import { parseBrokerConfig } from "../../src/model/configs.ts";
import { startNode } from "../../src/node.ts";
import type { StartedNode } from "../../src/node.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import { NodeRandom } from "../../src/platform/node/node-random.ts";

/** Clients of INSIDE are told an address that nobody reaches from here, as clients of a container network are. */
const INSIDE = { host: "lograft-1.inside.invalid", port: 9092 };

let directory: string;
let node: StartedNode;
let ports: { readonly inside: number; readonly outside: number };
let transport: GrpcTransport;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-listeners-"));
  ports = { inside: await freePort(), outside: await freePort() };
  node = await start("first", ports, {
    "advertised.listeners": `INSIDE://${INSIDE.host}:${INSIDE.port},OUTSIDE://localhost:${ports.outside}`,
  });
  const { clock } = createNodePlatform();
  transport = new GrpcTransport(
    { lane: "direct", clientId: "test" },
    { clock, logger: silentLogger, random: new NodeRandom() },
  );
});

afterAll(async () => {
  await transport.close();
  await node.close();
  await rm(directory, { recursive: true, force: true });
});

async function start(
  name: string,
  { inside, outside }: { readonly inside: number; readonly outside: number },
  config: Readonly<Record<string, string>> = {},
): Promise<StartedNode> {
  const parsed = parseBrokerConfig({
    "log.dirs": join(directory, name),
    listeners: `INSIDE://127.0.0.1:${inside},OUTSIDE://127.0.0.1:${outside}`,
    ...config,
  });
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("\n"));
  return startNode(parsed, { logger: silentLogger });
}

function call<M extends UnaryMethod>(
  port: number,
  method: M,
  request: UnaryMethods[M]["request"],
): Promise<UnaryMethods[M]["response"]> {
  return transport.call(`127.0.0.1:${port}`, method, request, { timeoutMs: 10_000 });
}

describe("a broker with two listeners", () => {
  test("is known by the address of the first", () => {
    expect(node.address).toBe(`${INSIDE.host}:${INSIDE.port}`);
  });

  test("tells each client the addresses of the listener that it came in on", async () => {
    const outside = { host: "localhost", port: ports.outside };
    for (const [port, address] of [
      [ports.inside, INSIDE],
      [ports.outside, outside],
    ] as const) {
      const metadata = await call(port, "Metadata", { topics: [], allTopics: false, allowAutoCreate: false });
      expect(metadata.brokers).toMatchObject([address]);
      const cluster = await call(port, "DescribeCluster", {});
      expect(cluster.brokers).toMatchObject([address]);
      const { coordinators } = await call(port, "FindCoordinator", { groupIds: ["g"] });
      expect(coordinators).toMatchObject([{ groupId: "g", errorCode: 0, ...address }]);
    }
  });

  test("serves a client from outside on addresses of the outside alone", async () => {
    await using client = new LograftClient({ brokers: [`127.0.0.1:${ports.outside}`] });
    await using producer = client.producer();
    const sent = await producer.send("orders", { key: "k", value: "v" });
    expect(sent).toMatchObject({ offset: 0 });
  });
});

test("a broker that is told to listen where somebody else does listens nowhere", async () => {
  const taken = createServer();
  const [free, used] = [await freePort(), await freePort()];
  await new Promise<void>((resolve) => {
    taken.listen({ host: "127.0.0.1", port: used }, resolve);
  });
  try {
    await expect(start("second", { inside: free, outside: used })).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
    });
    await using again = await start("second", { inside: free, outside: await freePort() });
    expect(again.address).toBe(`127.0.0.1:${free}`);
  } finally {
    taken.close();
  }
});

test("the bound on connections is that of all listeners together", async () => {
  const own = { inside: await freePort(), outside: await freePort() };
  await using broker = await start("third", own, { "max.connections": "1" });
  expect(broker.address).toBe(`127.0.0.1:${own.inside}`);
  await call(own.inside, "DescribeCluster", {});
  await expect(call(own.outside, "DescribeCluster", {})).rejects.toThrow();
});
