import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BrokerProcess, CLI_ENTRY } from "../../src/chaos/broker-process.ts";
import { freePort } from "../../src/chaos/free-port.ts";
import { startRefused } from "./start-refused.ts";

/** Lines of a broker are written behind its back. */
const LOGGED = { timeout: 10_000 };

/* What a person gets wrong before the first start: real processes, one line each, and the right exit code. */

const STRANGER = { uid: 54_321, gid: 54_322 };
const HOUR_AHEAD = "data:text/javascript,const now = Date.now; Date.now = () => now() + 3600000";

let directory = "";

/** Each test starts several processes. */
const TIMEOUT_MS = 90_000;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-start-"));
  await chmod(directory, 0o755);
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function expectLine(
  refused: ReturnType<typeof startRefused>,
  code: number,
  line: RegExp,
): Promise<void> {
  const { code: ended, text } = await refused;
  const lines = text.split("\n").filter((one) => one.startsWith("lograft: "));
  expect(lines, text).toHaveLength(1);
  expect(lines[0]).toMatch(line);
  expect(text).not.toMatch(/\n\s+at |bug/);
  expect(ended).toBe(code);
}

function settings(...all: readonly string[]): string[] {
  return ["listeners=CLIENT://127.0.0.1:0", ...all].flatMap((setting) => ["--set", setting]);
}

/** Another user is needed, which only root can become. */
function canBecomeAnother(): boolean {
  if (process.getuid?.() === 0) return true;
  process.stderr.write("\n*** NOT SHOWN: a data directory of another user; the tests do not run as root\n\n");
  return false;
}

test(
  "a data directory of another user: exit 1, naming both users and the commands",
  async () => {
    if (!canBecomeAnother()) return;
    const data = join(directory, "data");
    await mkdir(data, { mode: 0o750 });
    await chown(data, 1234, 1235);
    const named =
      /data belongs to user 1234, group 1235 \(mode 750\) and this process is user 54321, group 54322; /;
    const cure = /as root: chown -R 54321:54322 \S+data, or run as its owner \(compose: user: "1234:1235"\)/;
    const start = (): ReturnType<typeof startRefused> =>
      startRefused(["--data-dir", data, ...settings()], STRANGER);
    await expectLine(start(), 1, named);
    await expectLine(start(), 1, cure);
  },
  TIMEOUT_MS,
);

test(
  "a data directory that cannot be made where it shall be: exit 1, with the command that makes it",
  async () => {
    if (!canBecomeAnother()) return;
    const data = join(directory, "data");
    const line = /as root make the directory for it: mkdir -p \S+data && chown 54321:54322 \S+data/;
    await expectLine(startRefused(["--data-dir", data, ...settings()], STRANGER), 1, line);
  },
  TIMEOUT_MS,
);

test(
  "one file of another user, as a first start as root leaves it: exit 1, naming that file's directory",
  async () => {
    if (!canBecomeAnother()) return;
    const data = join(directory, "data");
    {
      await using broker = await BrokerProcess.start({ dataDirectory: data, port: 0 });
      await broker.stop();
    }
    const chownAll = async (at: string): Promise<void> => {
      await chown(at, STRANGER.uid, STRANGER.gid);
      for (const entry of await readdir(at, { withFileTypes: true })) {
        const path = join(at, entry.name);
        if (entry.isDirectory()) await chownAll(path);
        else await chown(path, STRANGER.uid, STRANGER.gid);
      }
    };
    await chownAll(data);
    const lock = join(data, "quorum", "store", "LOCK");
    await chown(lock, 0, 0);
    await chmod(lock, 0o600);
    const line =
      /store\/LOCK belongs to user 0, group 0 \(mode 600\).*chown -R 54321:54322 \S+store, and do not repair/;
    await expectLine(startRefused(["--data-dir", data, ...settings()], STRANGER), 1, line);
  },
  TIMEOUT_MS,
);

test(
  "too little disk for a new data directory: exit 1; one that has data starts, and says so",
  async () => {
    const data = join(directory, "data");
    const tooMuch = "storage.min.free.bytes=4000TB";
    const line =
      /data has \d+ MiB free, less than storage\.min\.free\.bytes = 4000000000000000, .*free space, choose another/;
    await expectLine(startRefused(["--data-dir", data, ...settings(tooMuch)]), 1, line);
    await using first = await BrokerProcess.start({ dataDirectory: data, port: 0 });
    expect(await first.stop()).toBe(0);
    await using second = await BrokerProcess.start({ dataDirectory: data, port: 0, settings: [tooMuch] });
    await expect.poll(() => second.log, LOGGED).toMatch(/less than storage\.min\.free\.bytes.*delete topics/);
  },
  TIMEOUT_MS,
);

test(
  "a port in use: exit 4; a port or a host that cannot be: exit 2",
  async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const start = (listeners: string, ...more: readonly string[]): ReturnType<typeof startRefused> =>
      startRefused(["--data-dir", join(directory, "data"), ...settings(`listeners=${listeners}`, ...more)]);
    const inUse = new RegExp(`127\\.0\\.0\\.1:${port} is in use by another process; stop that one or choose`);
    await expectLine(start(`CLIENT://127.0.0.1:${port}`), 4, inUse);
    await expectLine(start("CLIENT://127.0.0.1:0", `http.port=${port}`, "http.host=127.0.0.1"), 4, inUse);
    server.close();
    await expectLine(
      start("CLIENT://192.0.2.1:0"),
      2,
      /cannot listen on 192\.0\.2\.1:0.*address of this machine/,
    );
  },
  TIMEOUT_MS,
);

test(
  "a mistyped key, wherever it stands, and a bad value: exit 2, one line each",
  async () => {
    const start = (...all: readonly string[]): ReturnType<typeof startRefused> =>
      startRefused(["--data-dir", join(directory, "data"), ...settings(...all)]);
    await expectLine(
      start("advertised.listner=X"),
      2,
      /--set advertised\.listner: unknown key.*did you mean advertised\.listeners\? see docs/,
    );
    await expectLine(
      start("node.id=one"),
      2,
      /--set node\.id: node\.id = "one" is not valid; allowed: a whole number/,
    );
    await expectLine(
      startRefused(["--data-dir", directory, "--config", join(directory, "missing.properties")]),
      2,
      /--config: \S+missing\.properties cannot be read.*check the path/,
    );
  },
  TIMEOUT_MS,
);

test(
  "a clock an hour off the controller's: the broker serves, and says it in one line with the next step",
  async () => {
    const peerPort = await freePort();
    const voters = `controller.quorum.voters=1@127.0.0.1:${peerPort}`;
    await using first = await BrokerProcess.start({
      dataDirectory: join(directory, "one"),
      port: 0,
      settings: [`listeners=CLIENT://127.0.0.1:0,PEER://127.0.0.1:${peerPort}`, voters],
    });
    const args = [
      "--import",
      HOUR_AHEAD,
      CLI_ENTRY,
      "start",
      "--node-id",
      "2",
      "--data-dir",
      join(directory, "two"),
    ];
    const listeners = `listeners=CLIENT://127.0.0.1:0,PEER://127.0.0.1:${await freePort()}`;
    const servers = `controller.quorum.bootstrap.servers=127.0.0.1:${peerPort}`;
    const second = spawn(process.execPath, [...args, "--set", listeners, "--set", servers], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    second.stderr.setEncoding("utf8").on("data", (piece: string) => {
      said += piece;
      // Once: a second signal would not wait for the orderly stop.
      const isStopping = second.killed;
      if (!isStopping && said.includes("clock of this") && said.includes("broker is up"))
        second.kill("SIGTERM");
    });
    expect(await once(second, "close"), said).toEqual([0, null]);
    expect(said).toMatch(
      /warn .*the clock of this broker is 60 min ahead of that of broker 1, .*NTP.*lograft doctor/,
    );
    expect(first.log).not.toMatch(/clock/);
  },
  TIMEOUT_MS,
);
