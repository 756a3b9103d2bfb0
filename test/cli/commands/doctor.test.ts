import { once } from "node:events";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BrokerProcess } from "../../../src/chaos/broker-process.ts";
import { freePort } from "../../../src/chaos/free-port.ts";
import type { Finding } from "../../../src/cli/doctor/finding.ts";
import { FakeBrokers } from "../fake-brokers.ts";
import { cli } from "../harness.ts";

/* The command against brokers of their own processes, and against configurations of brokers that do not run. */

/** Too long for a name, so it resolves nowhere, and no resolver has to be asked for that. */
const NO_NAME = `${"x".repeat(64)}.invalid`;

/** Of tests that start brokers of their own. */
const TIMEOUT_MS = 90_000;

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-doctor-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

interface Report {
  readonly code: number;
  readonly isHealthy: boolean;
  readonly failed: number;
  readonly findings: readonly Finding[];
}

async function doctor(...args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await cli(["doctor", "--json", ...args]);
  expect(stderr).toBe("");
  return { code, ...(JSON.parse(stdout) as Omit<Report, "code">) };
}

function linesOf({ findings }: Report, check: string): string[] {
  return findings
    .filter((finding) => finding.check === check)
    .map(({ state, about, found, next }) => `${state} ${about}: ${found}; ${next}`);
}

function config(...settings: readonly string[]): string[] {
  return ["--data-dir", join(directory, "data"), ...settings.flatMap((setting) => ["--set", setting])];
}

describe("a cluster", () => {
  test(
    "a broker that is well: every check is told, exit 0",
    async () => {
      const httpPort = await freePort();
      const settings = [`http.port=${httpPort}`, "http.host=127.0.0.1"];
      await using broker = await BrokerProcess.start({
        dataDirectory: join(directory, "data"),
        port: 0,
        settings,
      });
      const report = await doctor("-b", broker.address);
      expect(report).toMatchObject({ code: 0, isHealthy: true, failed: 0 });
      expect(linesOf(report, "addresses")).toEqual([
        `ok broker 1: CLIENT://${broker.address} answers as this broker; `,
      ]);
      expect(linesOf(report, "http")).toEqual([`ok broker 1: 127.0.0.1:${httpPort} answers: ready; `]);
      for (const check of ["controller", "voters", "clock", "disk", "versions", "files", "memory"]) {
        expect(linesOf(report, check), check).not.toEqual([]);
      }
      const { stdout } = await cli(["doctor", "-b", broker.address]);
      expect(stdout).toMatch(/^ok {7}addresses {3}broker 1: /);
      expect(stdout).toMatch(/\d+ checks/);
    },
    TIMEOUT_MS,
  );

  test(
    "advertised addresses that are none, not open, and another broker's: which one, why, what to set; exit 8",
    async () => {
      const [peer, second, third] = [await freePort(), await freePort(), await freePort()];
      const ports = [await freePort(), await freePort(), await freePort(), await freePort()] as const;
      const start = (id: number, port: number, settings: readonly string[]): Promise<BrokerProcess> =>
        BrokerProcess.start({
          dataDirectory: join(directory, `node-${id}`),
          port,
          settings: [`node.id=${id}`, ...settings],
        });
      await using one = await start(1, ports[0], [
        `listeners=CLIENT://127.0.0.1:${ports[0]},PEER://127.0.0.1:${peer}`,
        `controller.quorum.voters=1@127.0.0.1:${peer}`,
      ]);
      const join2 = [`controller.quorum.bootstrap.servers=127.0.0.1:${peer}`];
      await using two = await start(2, ports[1], [
        ...join2,
        `listeners=CLIENT://127.0.0.1:${ports[1]},PEER://127.0.0.1:${second}`,
        `advertised.listeners=CLIENT://localhost:${ports[0]}`,
      ]);
      await using three = await start(3, ports[2], [
        ...join2,
        `listeners=CLIENT://127.0.0.1:${ports[2]},PEER://127.0.0.1:${third}`,
        `advertised.listeners=CLIENT://${NO_NAME}:9092`,
      ]);
      expect([two.isRunning, three.isRunning]).toEqual([true, true]);
      const report = await doctor("-b", one.address);
      expect(report.code).toBe(8);
      const [first, trap, unresolved] = linesOf(report, "addresses");
      expect(first).toMatch(/^ok broker 1: /);
      expect(trap).toMatch(
        /^failed broker 2: localhost:\d+: broker 1 answers there; localhost is each machine's own/,
      );
      expect(unresolved).toMatch(
        /^failed broker 3: .*the name x+\.invalid does not resolve here; set advertised/,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "a broker of a release that does not describe itself warns, and the rest is told",
    async () => {
      await using fake = await FakeBrokers.start(1);
      const report = await doctor("-b", fake.address(1));
      expect(linesOf(report, "versions")[0]).toMatch(
        /^warning broker 1: a release up to 0\.4\.0.*; upgrade it/,
      );
      expect(linesOf(report, "voters")).toEqual(["ok the cluster: 1 voter, all follow; "]);
      expect(report.code).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    "nobody there: exit 8, and why for each address that was asked",
    async () => {
      const port = await freePort();
      const report = await doctor("-b", `127.0.0.1:${port},${NO_NAME}:9092`);
      expect(report.code).toBe(8);
      expect(linesOf(report, "answer")).toEqual([
        expect.stringMatching(
          new RegExp(`^failed 127\\.0\\.0\\.1:${port}: nothing listens there; is a broker up`),
        ),
        expect.stringMatching(/^failed x+\.invalid:9092: the name x+\.invalid does not resolve here; /),
      ]);
    },
    TIMEOUT_MS,
  );
});

describe("a configuration", () => {
  test(
    "one that a broker could start with: exit 0, and nothing is made or left listening",
    async () => {
      const port = await freePort();
      for (let times = 0; times < 2; times++) {
        const report = await doctor(...config(`listeners=CLIENT://127.0.0.1:${port}`));
        expect(report.code).toBe(0);
        expect(linesOf(report, "data")[0]).toMatch(/^ok .*to be made; /);
        expect(linesOf(report, "ports")).toEqual([`ok CLIENT 127.0.0.1:${port}: free; `]);
      }
    },
    TIMEOUT_MS,
  );

  test(
    "a key that is none: told with the nearest, and nothing else is looked at",
    async () => {
      const report = await doctor(...config("listners=CLIENT://:1"));
      expect(report.code).toBe(8);
      expect(report.findings).toHaveLength(1);
      expect(report.findings[0]).toMatchObject({ check: "config", state: "failed" });
      expect(report.findings[0]?.found).toMatch(/--set listners: .*did you mean listeners\?/);
    },
    TIMEOUT_MS,
  );

  test(
    "a port in use: by which process; an address that is not of this machine",
    async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const report = await doctor(...config(`listeners=CLIENT://127.0.0.1:${port},OTHER://192.0.2.1:9`));
      server.close();
      const [used, foreign] = linesOf(report, "ports");
      const holder = process.platform === "linux" ? `process ${process.pid} \\(\\w+\\)` : "another process";
      expect(used).toMatch(
        new RegExp(`^failed CLIENT 127\\.0\\.0\\.1:${port}: in use by ${holder}; stop that one, or`),
      );
      expect(foreign).toMatch(
        /^failed OTHER 192\.0\.2\.1:9: it cannot be listened on \(EADDRNOTAVAIL\); name an address/,
      );
      expect(report.code).toBe(8);
    },
    TIMEOUT_MS,
  );

  test(
    "a data directory of another node, too little room, and a clock behind what it wrote",
    async () => {
      const data = join(directory, "data");
      await mkdir(data);
      await writeFile(join(data, "meta.properties"), "version=1\nnode.id=7\ndirectory.id=d\ncluster.id=c\n");
      const later = new Date(Date.now() + 7_200_000);
      await utimes(join(data, "meta.properties"), later, later);
      const report = await doctor(
        ...config("listeners=CLIENT://127.0.0.1:0", "storage.min.free.bytes=4000TB"),
      );
      const data2 = linesOf(report, "data").filter((line) => !line.startsWith("ok "));
      expect(data2).toEqual([
        `failed ${data}: it is of node 7, and node.id = 1; point the broker to its own data directory`,
        expect.stringMatching(/^warning .* free, less than storage\.min\.free\.bytes = 4000000000000000; /),
      ]);
      expect(linesOf(report, "clock")[0]).toMatch(
        /^failed this machine: the clock is 2 h behind the last stop/,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "what clients will be told, and the voters that it names",
    async () => {
      const [port, closed] = [await freePort(), await freePort()];
      const report = await doctor(
        ...config(
          `listeners=CLIENT://:${port},PEER://:${await freePort()}`,
          `controller.quorum.voters=1@127.0.0.1:${closed},2@127.0.0.1:${await freePort()},3@${NO_NAME}:9093`,
        ),
      );
      expect(linesOf(report, "addresses")).toEqual([
        expect.stringMatching(
          /^warning CLIENT:\/\/localhost:\d+: clients on other machines, .*dial themselves.*set advertised/,
        ),
      ]);
      const [two, three] = linesOf(report, "quorum");
      expect(two).toMatch(/^warning 127\.0\.0\.1:\d+: nothing listens there; start that broker/);
      expect(three).toMatch(
        /^failed x+\.invalid:9093: the name .* does not resolve here; correct controller/,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "a broker that runs on the configuration is told as such, and asked",
    async () => {
      const port = await freePort();
      await using broker = await BrokerProcess.start({ dataDirectory: join(directory, "data"), port });
      const report = await doctor(...config(`listeners=CLIENT://127.0.0.1:${port}`));
      expect(linesOf(report, "ports")[0]).toMatch(/^ok CLIENT .*in use by this broker, which runs: /);
      expect(linesOf(report, "data").join("\n")).toContain(
        `in use by process ${broker.pid}: a broker runs on it`,
      );
      expect(linesOf(report, "controller")[0]).toMatch(/^ok the cluster: broker 1/);
      expect(report.code).toBe(0);
    },
    TIMEOUT_MS,
  );
});
