import { execFile, spawnSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import { ROOT } from "./deploy-files.ts";

/*
 * docker-compose.yml on a real engine: built, started, and each broker killed under the load of the demo. It takes the ports
 * that the file names. Without an engine nothing of this is shown, and the run says so.
 */
const run = promisify(execFile);
const BROKERS = ["lograft-1", "lograft-2", "lograft-3"] as const;
const OUTSIDE = ["localhost:19092", "localhost:29092", "localhost:39092"];
const PROJECT = "lograft-test";
/** Generous: the machine may be slow, and may build the image from nothing. */
const MINUTE_MS = 60_000;
const LOOK_MS = 500;
/** Records that are acknowledged while a broker is down, before it is started again. */
const RECORDS_WHILE_DOWN = 400;

const missing = whatIsMissing();
if (missing !== undefined) {
  process.stderr.write(`SKIPPED: docker-compose.yml is not run on an engine: ${missing}\n`);
}

/** Why this cannot be shown here; undefined: it can. */
function whatIsMissing(): string | undefined {
  if (process.env["DOCKER_HOST"] === undefined) return "DOCKER_HOST names none";
  const engine = spawnSync("docker", ["info", "--format", "{{.ServerVersion}}"], { timeout: 10_000 });
  if (engine.error !== undefined) return "there is no docker on the PATH";
  if (engine.status !== 0) return "the one of DOCKER_HOST does not answer";
  if (composeCommand() === undefined) return "there is neither docker-compose nor docker compose";
  return undefined;
}

function composeCommand(): readonly string[] | undefined {
  for (const command of [["docker-compose"], ["docker", "compose"]] as const) {
    const [file, ...args] = command;
    if (spawnSync(file, [...args, "version"]).status === 0) return command;
  }
  return undefined;
}

async function compose(...args: string[]): Promise<string> {
  const [file = "", ...first] = composeCommand() ?? [];
  const { stdout } = await run(file, [...first, "-p", PROJECT, ...args], {
    cwd: ROOT,
    maxBuffer: 64 * 1024 * 1024,
    // The older builder is there on every engine, the newer one not.
    env: { ...process.env, DOCKER_BUILDKIT: process.env["DOCKER_BUILDKIT"] ?? "0" },
  });
  return stdout;
}

async function docker(...args: string[]): Promise<string> {
  return (await run("docker", args, { maxBuffer: 64 * 1024 * 1024 })).stdout.trim();
}

async function containerOf(service: string): Promise<string> {
  const [id = ""] = (await compose("ps", "-q", service)).trim().split("\n");
  return id;
}

async function healthOf(service: string): Promise<string> {
  return docker("inspect", "--format", "{{.State.Health.Status}}", await containerOf(service));
}

/** The last figure of what a demo container says, such as "acknowledged 120 records". */
async function figureOf(service: string, pattern: RegExp): Promise<number> {
  const lines = (await docker("logs", "--tail", "50", await containerOf(service))).split("\n");
  const found = lines.map((line) => pattern.exec(line)?.[1]).filter((figure) => figure !== undefined);
  return Number(found.at(-1) ?? "0");
}

const acknowledged = (): Promise<number> => figureOf("producer", /^acknowledged (\d+) records/);
const read = (): Promise<number> => figureOf("consumer", /^read (\d+) records/);

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = AbortSignal.timeout(3 * MINUTE_MS);
  while (!(await isSo())) {
    if (deadline.aborted)
      throw new Error(`not within three minutes: ${what}\n${await compose("logs", "--tail", "40")}`);
    await pause(LOOK_MS);
  }
}

async function untilHealthy(services: readonly string[]): Promise<void> {
  await until(`${services.join(", ")} healthy`, async () => {
    const found = await Promise.all(services.map(healthOf));
    return found.every((status) => status === "healthy");
  });
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

describe.runIf(missing === undefined)("docker-compose.yml on an engine", () => {
  afterAll(async () => {
    await compose("--profile", "demo", "down", "--volumes", "--timeout", "30");
  }, 5 * MINUTE_MS);

  test("builds", { timeout: 15 * MINUTE_MS }, async () => {
    await compose("build", BROKERS[0]);
    const bytes = Number(await docker("image", "inspect", "--format", "{{.Size}}", "lograft:local"));
    say(`image: ${Math.round(bytes / 1e6)} MB`);
    expect(bytes).toBeGreaterThan(0);
    const user = await docker("image", "inspect", "--format", "{{.Config.User}}", "lograft:local");
    expect(user).toBe("10001:10001");
  });

  test("becomes healthy", { timeout: 5 * MINUTE_MS }, async () => {
    const startedAt = performance.now();
    await compose("up", "-d", ...BROKERS);
    await untilHealthy(BROKERS);
    say(`healthy after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    const ids = await Promise.all(BROKERS.map(containerOf));
    say(
      `memory: ${(await docker("stats", "--no-stream", "--format", "{{.MemUsage}}", ...ids)).split("\n").join(", ")}`,
    );
  });

  test.each(OUTSIDE)("is reached from this machine by %s alone", { timeout: MINUTE_MS }, async (address) => {
    await using client = new LograftClient({ brokers: [address] });
    const { brokers } = await client.admin().describeCluster();
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual(OUTSIDE);
    await using producer = client.producer();
    const topic = `from-outside-${address.replace(":", "-")}`;
    await client.admin().createTopics([{ name: topic, partitions: 3, replicationFactor: 3 }]);
    // Each partition has another leader, so each broker is written to.
    for (const partition of [0, 1, 2]) {
      expect(await producer.send(topic, { value: "v", partition })).toMatchObject({ partition, offset: 0 });
    }
  });

  test("loses nothing when each broker is killed in turn", { timeout: 15 * MINUTE_MS }, async () => {
    await compose("--profile", "demo", "up", "-d", "producer", "consumer");
    await until("the demo is under way", async () => (await read()) > RECORDS_WHILE_DOWN);
    for (const broker of BROKERS) {
      await compose("kill", broker);
      const before = await acknowledged();
      await until(
        `writes go on without ${broker}`,
        async () => (await acknowledged()) > before + RECORDS_WHILE_DOWN,
      );
      await compose("start", broker);
      await untilHealthy([broker]);
      say(`${broker} was killed and is back: ${await acknowledged()} records acknowledged`);
    }
    await compose("stop", "--timeout", "60", "producer");
    const sent = await acknowledged();
    await until("everything is read", async () => (await read()) >= sent);
    const [last = ""] = (await docker("logs", "--tail", "1", await containerOf("consumer"))).split("\n");
    say(`acknowledged ${sent}; ${last}`);
    expect(last).toMatch(/^read \d+ records, missing 0, repeated \d+$/);
  });

  test("stops in order", { timeout: 5 * MINUTE_MS }, async () => {
    await compose("--profile", "demo", "stop");
    for (const broker of BROKERS) {
      const id = await containerOf(broker);
      const state = await docker("inspect", "--format", "{{.State.ExitCode}} {{json .State}}", id);
      const { stdout: log } = await run("docker", ["logs", "--tail", "30", id]);
      expect(state, `${broker}\n${log}`).toMatch(/^0 /);
    }
  });
});
