import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cli } from "../harness.ts";
import type { CliRun } from "../harness.ts";

let server: Server;
let body: object;
let onRequest: (path: string | undefined) => boolean;

beforeEach(async () => {
  body = health();
  onRequest = () => true;
  server = createServer((request, response) => {
    if (!onRequest(request.url)) return;
    response.writeHead(503, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function health(fields: { readonly failing?: string; readonly isNeeded?: boolean } = {}): object {
  const { failing, isNeeded = true } = fields;
  const names = ["recovery", "membership", "controller", "stopping", "disk"];
  return {
    nodeId: 3,
    version: "1.2.3",
    isReady: failing === undefined || !isNeeded,
    isHealthy: failing === undefined,
    checks: names.map((name) => ({
      name,
      isOk: name !== failing,
      isNeeded: name !== failing || isNeeded,
      detail: `found of ${name}`,
    })),
  };
}

/** The port is said as a container says it. */
function ask(...args: readonly string[]): Promise<CliRun> {
  const { port } = server.address() as AddressInfo;
  return cli(["cluster", "health", ...args], { env: { LOGRAFT_HTTP_PORT: String(port) } });
}

describe("cluster health --local", () => {
  test("ends with 0 when the broker is well", async () => {
    const paths: (string | undefined)[] = [];
    onRequest = (path) => paths.push(path) > 0;
    expect(await ask("--local", "--ready")).toEqual({ code: 0, stdout: "broker 3 is ready\n", stderr: "" });
    expect(await ask("--local")).toEqual({ code: 0, stdout: "broker 3 is healthy\n", stderr: "" });
    expect(paths).toEqual(["/healthz?verbose", "/healthz?verbose"]);
  });

  test("ends with 8 when the broker is not ready, and says why", async () => {
    body = health({ failing: "membership" });
    expect(await ask("--local", "--ready")).toEqual({
      code: 8,
      stdout: "membership: found of membership\nbroker 3 is NOT ready: membership\n",
      stderr: "",
    });
  });

  test("what readiness does not depend on counts for health alone", async () => {
    body = health({ failing: "disk", isNeeded: false });
    expect(await ask("--local", "--ready")).toMatchObject({ code: 0, stdout: "broker 3 is ready\n" });
    expect(await ask("--local")).toMatchObject({
      code: 8,
      stdout: "disk: found of disk\nbroker 3 is NOT healthy: disk\n",
    });
  });

  test("--json is what the broker said", async () => {
    const { code, stdout } = await ask("--local", "--json");
    expect([code, JSON.parse(stdout)]).toEqual([0, body]);
  });

  test("nobody there ends with 6 and the next step", async () => {
    const { port } = server.address() as AddressInfo;
    server.close();
    const { code, stderr } = await cli(["cluster", "health", "--local", "--http", `127.0.0.1:${port}`]);
    expect(code).toBe(6);
    expect(stderr).toContain("http.port");
  });

  test("an answer that does not come ends with 6", async () => {
    onRequest = () => false;
    const { code, stderr } = await ask("--local", "--timeout", "200ms");
    expect([code, stderr]).toEqual([6, expect.stringContaining("within 200 ms")]);
  });

  test("--ready and --http go with --local only", async () => {
    const { code, stderr } = await ask("--ready");
    expect([code, stderr]).toEqual([2, expect.stringContaining("--local")]);
  });
});
