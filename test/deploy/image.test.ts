import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readDeployFile, ROOT } from "./deploy-files.ts";

const dockerfile = readDeployFile("deploy/Dockerfile");
/** Its instructions, with continued lines as one and without comments. */
const instructions = dockerfile
  .split("\n")
  .filter((line) => !line.startsWith("#"))
  .join("\n")
  .replaceAll(/\\\n\s*/g, " ")
  .split("\n")
  .filter((line) => line !== "");

function withWord(word: string): string[] {
  return instructions.filter((line) => line.startsWith(`${word} `));
}

describe("the Dockerfile", () => {
  test("builds in one image and runs in another, the slim one of Node 24", () => {
    expect(withWord("FROM")).toEqual(["FROM node:24-bookworm-slim AS build", "FROM node:24-bookworm-slim"]);
    expect(instructions.filter((line) => line.includes("npm prune --omit=dev"))).toHaveLength(1);
  });

  test("needs no BuildKit", () => {
    expect(dockerfile).not.toMatch(/^# *syntax=/m);
    expect(instructions.filter((line) => /RUN --mount|COPY --(?:chmod|link)|<<EOF/.test(line))).toEqual([]);
  });

  test("runs as nobody's user but its own, by number, and ends by SIGTERM", () => {
    expect(withWord("USER")).toEqual(["USER 10001:10001"]);
    expect(withWord("STOPSIGNAL")).toEqual(["STOPSIGNAL SIGTERM"]);
  });

  test("starts and is checked without a shell in between, and without curl", () => {
    const [check = ""] = withWord("HEALTHCHECK");
    expect(check).toContain('CMD ["lograft", "cluster", "health", "--local", "--ready"]');
    expect(withWord("ENTRYPOINT")).toEqual(['ENTRYPOINT ["lograft-entrypoint"]']);
    expect(dockerfile).not.toMatch(/\b(?:curl|wget)\b/);
  });

  test("copies files that are there and that the build context lets in", () => {
    const shown = readDeployFile(".dockerignore")
      .split("\n")
      .flatMap((line) => (line.startsWith("!") && line !== "!deploy" ? [line.slice(1)] : []));
    for (const line of withWord("COPY")) {
      if (line.includes("--from=")) continue;
      const sources = line.split(" ").slice(1, -1);
      for (const source of sources) {
        expect(existsSync(join(ROOT, source)), source).toBe(true);
        const isShown = shown.some((path) => source === path || source.startsWith(`${path}/`));
        expect(isShown, `${source} is not in .dockerignore`).toBe(true);
      }
    }
  });
});

describe("the entrypoint", () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "lograft-entrypoint-"));
    mkdirSync(join(directory, "bin"));
    // In the place of Node.js: tells what it was started with.
    writeFileSync(
      join(directory, "bin", "node"),
      '#!/bin/sh\nfor argument in "$@"; do echo "argument $argument"; done\nenv | grep ^LOGRAFT_ || true\n',
      { mode: 0o755 },
    );
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function limitTo(file: string, content: string): void {
    const path = join(directory, "cgroup", file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }

  function run(environment: Readonly<Record<string, string>> = {}): string[] {
    const output = execFileSync("sh", [join(ROOT, "deploy/docker/entrypoint.sh"), "start", "--json"], {
      encoding: "utf8",
      env: {
        PATH: `${join(directory, "bin")}:${process.env["PATH"] ?? ""}`,
        CGROUP_ROOT: join(directory, "cgroup"),
        ...environment,
      },
    });
    return output.trimEnd().split("\n").sort();
  }

  const MAIN = "argument /opt/lograft/dist/cli/main.js";
  const REST = ["argument --json", MAIN, "argument start"];

  test("leaves everything to the defaults where there is no limit", () => {
    expect(run()).toEqual(REST);
    limitTo("memory.max", "max\n");
    expect(run()).toEqual(REST);
    rmSync(join(directory, "cgroup"), { recursive: true });
    limitTo("memory/memory.limit_in_bytes", "9223372036854771712\n");
    expect(run()).toEqual(REST);
  });

  test.each(["memory.max", "memory/memory.limit_in_bytes"])("fits the memory to the limit in %s", (file) => {
    limitTo(file, `${512 * 1024 * 1024}\n`);
    expect(run()).toEqual(
      [
        ...REST,
        "argument --max-old-space-size=204",
        `LOGRAFT_SERVER_MAX_INFLIGHT_BYTES=${128 * 1024 * 1024}`,
        `LOGRAFT_STORAGE_CACHE_BYTES=${64 * 1024 * 1024}`,
      ].sort(),
    );
  });

  test("goes no further than the defaults on a large machine", () => {
    limitTo("memory.max", `${8 * 1024 ** 3}\n`);
    expect(run()).toEqual(
      [
        ...REST,
        "argument --max-old-space-size=3276",
        `LOGRAFT_SERVER_MAX_INFLIGHT_BYTES=${256 * 1024 * 1024}`,
        `LOGRAFT_STORAGE_CACHE_BYTES=${128 * 1024 * 1024}`,
      ].sort(),
    );
  });

  test("does not overrule what somebody has set", () => {
    limitTo("memory.max", `${512 * 1024 * 1024}\n`);
    const environment = {
      NODE_OPTIONS: "--max-old-space-size=100",
      LOGRAFT_SERVER_MAX_INFLIGHT_BYTES: "1MiB",
      LOGRAFT_STORAGE_CACHE_BYTES: "2MiB",
    };
    expect(run(environment)).toEqual(
      [...REST, "LOGRAFT_SERVER_MAX_INFLIGHT_BYTES=1MiB", "LOGRAFT_STORAGE_CACHE_BYTES=2MiB"].sort(),
    );
  });

  test("lets a broker that is not among the voters join their cluster", () => {
    const voters = "0@a-0.a:9093,1@a-1.a:9093,10@a-10.a:9093";
    const among = { LOGRAFT_CONTROLLER_QUORUM_VOTERS: voters, LOGRAFT_NODE_ID: "1" };
    expect(run(among)).toEqual(
      [...REST, `LOGRAFT_CONTROLLER_QUORUM_VOTERS=${voters}`, "LOGRAFT_NODE_ID=1"].sort(),
    );
    const beside = { LOGRAFT_CONTROLLER_QUORUM_VOTERS: voters, LOGRAFT_NODE_ID: "2" };
    expect(run(beside)).toEqual(
      [
        ...REST,
        "LOGRAFT_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS=a-0.a:9093,a-1.a:9093,a-10.a:9093",
        "LOGRAFT_NODE_ID=2",
      ].sort(),
    );
  });
});
