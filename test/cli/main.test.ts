import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Interruption } from "../../src/cli/interruption.ts";
import { startBroker } from "../../src/testing.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { cli as runCommand } from "./harness.ts";
import type { CliInput, CliRun } from "./harness.ts";

/* The commands against a real broker in this process. */

let broker: RunningBroker;
let directory = "";
let count = 0;
/** A topic of its own for each test. */
let topic = "";

beforeAll(async () => {
  broker = await startBroker({ config: { "auto.create.topics.enable": "false" } });
  directory = await mkdtemp(join(tmpdir(), "lograft-cli-"));
});

afterAll(async () => {
  await broker.close();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(() => {
  count++;
  topic = `topic-${count}`;
});

function cli(args: readonly string[], input: CliInput = {}): Promise<CliRun> {
  return runCommand(args, { env: { LOGRAFT_BROKERS: broker.address }, ...input });
}

/** Runs a command that must succeed; answers its stdout. */
async function ok(args: readonly string[], input: CliInput = {}): Promise<string> {
  const { code, stdout, stderr } = await cli(args, input);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr });
  return stdout;
}

async function create(...options: readonly string[]): Promise<void> {
  await ok(["topic", "create", topic, ...options]);
}

/** Writes one record for each line. */
async function fill(lines: readonly string[], ...options: readonly string[]): Promise<void> {
  await ok(["produce", topic, ...options], { stdin: Readable.from([Buffer.from(lines.join("\n"))]) });
}

/** The values that a consume to the end prints. */
async function values(...options: readonly string[]): Promise<string[]> {
  const stdout = await ok(["consume", topic, "--exit-at-end", "-f", "%v\\n", ...options]);
  return stdout === "" ? [] : stdout.trimEnd().split("\n");
}

async function records(...options: readonly string[]): Promise<Record<string, unknown>[]> {
  const stdout = await ok(["consume", topic, "--exit-at-end", ...options]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** JSON output with what differs from run to run replaced. */
function stable(json: string): unknown {
  return JSON.parse(json, (key, value: unknown) => {
    if (key === "topicId") return "ID";
    if (key === "timestamp") return "TIME";
    // One stands for all: a new key is no change of the shape.
    if (key === "configs" && Array.isArray(value)) return value.slice(0, 1) as unknown[];
    if (key === "seconds" || key.endsWith("PerSecond") || key === "cpuSeconds" || key === "rssBytes")
      return 1;
    return value;
  });
}

describe("topic", () => {
  test("create, list, describe, alter-config, add-partitions, offsets, trim, delete", async () => {
    const created = await cli(["topic", "create", topic, "-p", "2", "-c", "retention.ms=7d"]);
    expect(created).toEqual({ code: 0, stdout: "", stderr: `${topic} created\n` });
    expect(await ok(["topic", "list"])).toMatch(
      new RegExp(`^TOPIC +PARTITIONS.*\n(.*\n)*${topic} +2 +1 +\\S{22}\n`),
    );
    expect(await ok(["topic", "describe", topic])).toContain("  retention.ms=604800000\n");

    await ok(["topic", "alter-config", topic, "--set", "retention.ms=1000", "--set", "flush.policy=os"]);
    await ok(["topic", "alter-config", topic, "--unset", "retention.ms"]);
    const described = await ok(["topic", "describe", topic]);
    expect(described).toContain("  flush.policy=os\n");
    expect(described).not.toContain("retention.ms");

    const added = await cli(["topic", "add-partitions", topic, "--total", "3"]);
    expect(added.stderr).toBe(
      `${topic} has 3 partitions now; records of a key may go to another one from here on\n`,
    );
    await fill(["a", "b", "c"], "-p", "1");
    expect(await ok(["topic", "offsets", topic])).toBe(
      [
        "PARTITION  START  END",
        "        0      0    0",
        "        1      0    3",
        "        2      0    0",
        "",
      ].join("\n"),
    );
    const trimmed = await cli(["topic", "trim", topic, "--partition", "1", "--before", "2", "--yes"]);
    expect(trimmed.stderr).toBe(`${topic}-1 starts at offset 2 now\n`);
    expect(await values()).toEqual(["c"]);

    expect((await cli(["topic", "delete", topic, "--yes"])).stderr).toBe(`${topic} deleted\n`);
    expect((await cli(["topic", "describe", topic])).code).toBe(3);
  });

  test("--if-not-exists and --validate-only change nothing", async () => {
    const checked = await cli(["topic", "create", topic, "--validate-only"]);
    expect(checked).toEqual({ code: 0, stdout: "", stderr: `${topic} could be created\n` });
    expect((await cli(["topic", "describe", topic])).code).toBe(3);
    await create();
    const again = await cli(["topic", "create", topic, "--if-not-exists"]);
    expect(again).toEqual({ code: 0, stdout: "", stderr: `${topic} exists already\n` });
    expect(
      (await cli(["topic", "alter-config", topic, "-s", "retention.ms=5", "--validate-only"])).code,
    ).toBe(0);
    expect(await ok(["topic", "describe", topic])).not.toContain("retention.ms");
  });

  test("of several topics some may fail: exit code 7, and each is told", async () => {
    await create();
    const { code, stderr } = await cli(["topic", "create", topic, `${topic}-b`]);
    expect(code).toBe(7);
    expect(stderr).toContain(`${topic}-b created\n`);
    expect(stderr).toMatch(new RegExp(`lograft: .*${topic} exists; choose another name`));
  });

  test("offsets at a time", async () => {
    await create();
    const line = JSON.stringify({ value: "old", timestamp: 1_700_000_000_000 });
    await ok(["produce", topic, "--ndjson"], { stdin: Readable.from([line]) });
    const at = async (time: string): Promise<unknown> =>
      JSON.parse(await ok(["topic", "offsets", topic, "--at", time, "--json"]));
    expect(await at("2023-11-14T00:00:00Z")).toEqual([{ partition: 0, start: "0", end: "1", at: "0" }]);
    expect(await at("2023-11-15T00:00:00Z")).toEqual([{ partition: 0, start: "0", end: "1", at: null }]);
    expect(await ok(["topic", "offsets", topic, "--at", "1800000000000"])).toContain("none");
  });
});

describe("produce", () => {
  test("one value answers with its place and what was promised", async () => {
    await create();
    const { stderr } = await cli(["produce", topic, "--key", "c-7", "--value", "hello"]);
    expect(stderr).toBe(`${topic}-0 offset 0, leader epoch 0, synced on 1 replica(s)\n`);
    const unacknowledged = await cli(["produce", topic, "--value", "x", "--acks", "0"]);
    expect(unacknowledged.stderr).toContain("not acknowledged (acks 0)");
  });

  test("lines of standard input, with and without a newline at the end", async () => {
    await create();
    const stdin = Readable.from(["one\ntwo\r\n", "three"].map((text) => Buffer.from(text)));
    const { stderr, stdout } = await cli(["produce", topic], { stdin });
    expect(stderr).toMatch(/^3 records, 11 B in \d+\.\d s \(.*\/s, .*\/s\)\n$/);
    expect(stdout).toBe("");
    expect(await values()).toEqual(["one", "two", "three"]);
  });

  test("keys, headers, partition, codec and tombstones", async () => {
    await create("-p", "3");
    await fill(["a:1", "b:2:3"], "--key-separator", ":", "-p", "2", "-H", "x=1", "-H", "x=2", "-z", "zstd");
    await ok(["produce", topic, "--tombstone", "--key", "a", "-p", "2"]);
    const read = await records();
    expect(read.map(({ partition, key, value, headers }) => ({ partition, key, value, headers }))).toEqual([
      {
        partition: 2,
        key: "a",
        value: "1",
        headers: [
          { key: "x", value: "1" },
          { key: "x", value: "2" },
        ],
      },
      {
        partition: 2,
        key: "b",
        value: "2:3",
        headers: [
          { key: "x", value: "1" },
          { key: "x", value: "2" },
        ],
      },
      { partition: 2, key: "a", value: null, headers: undefined },
    ]);
  });

  test("a file, more lines than the buffer holds at once", async () => {
    await create();
    const path = join(directory, "lines");
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}`);
    await writeFile(path, lines.join("\n"));
    await ok(["produce", topic, "--file", path, "--acks", "1"]);
    expect(await values()).toEqual(lines);
  });

  test("--repeat and --rate", async () => {
    await create();
    await ok(["produce", topic, "--value", "x", "--repeat", "25", "--rate", "10000"]);
    expect(await values()).toHaveLength(25);
    await fill(["a", "b"], "--rate", "10000");
    expect(await values("-o", "-2")).toEqual(["a", "b"]);
  });

  test("the output of consume is the input of produce --ndjson", async () => {
    await create();
    await fill(["a", "b"], "-k", "k", "-H", "h=1");
    const printed = await ok(["consume", topic, "--exit-at-end"]);
    await ok(["produce", topic, "--ndjson"], { stdin: Readable.from([printed]) });
    const all = (await records()).map((record) => ({ ...record, offset: "" }));
    expect(all.slice(2)).toEqual(all.slice(0, 2));
  });

  test("an interruption while the input is silent ends it, with what was read written", async () => {
    await create();
    const controller = new AbortController();
    const stdin = new Readable({ read: () => undefined });
    stdin.push("first\n");
    const running = cli(["produce", topic], { stdin, signal: controller.signal });
    await expect.poll(() => values()).toEqual(["first"]);
    controller.abort(new Interruption("SIGINT"));
    const { code, stderr } = await running;
    expect({ code, stderr }).toEqual({
      code: 130,
      stderr: "stopped after 1 record, all of them acknowledged\n",
    });
  });
});

describe("consume", () => {
  beforeEach(async () => {
    await create("-p", "2");
    await fill(["a0", "a1", "a2"], "-p", "0");
    await fill(["b0"], "-p", "1");
  });

  test.each([
    [
      ["-o", "start"],
      ["a0", "a1", "a2", "b0"],
    ],
    [["--from-beginning"], ["a0", "a1", "a2", "b0"]],
    [
      ["--read-from", "closest", "--rack", "nowhere"],
      ["a0", "a1", "a2", "b0"],
    ],
    [["-o", "end"], []],
    [
      ["-o", "1", "-p", "0"],
      ["a1", "a2"],
    ],
    [
      ["-o", "-1"],
      ["a2", "b0"],
    ],
    [
      ["-o", "-100"],
      ["a0", "a1", "a2", "b0"],
    ],
    [["-o", "3", "-p", "0"], []],
    [
      ["-o", "@0"],
      ["a0", "a1", "a2", "b0"],
    ],
    [["-o", "@2099-01-01T00:00:00Z"], []],
    [["-p", "1"], ["b0"]],
    [
      ["-p", "1,0"],
      ["a0", "a1", "a2", "b0"],
    ],
  ])("%j prints %j", async (options, expected) => {
    expect((await values(...options)).sort()).toEqual(expected);
  });

  test("-n stops after so many, without --exit-at-end", async () => {
    expect(await ok(["consume", topic, "-p", "0", "-n", "2", "-f", "%o=%v "])).toBe("0=a0 1=a1 ");
  });

  test("@FROM,TO stops before TO, also when records go on", async () => {
    const line = (value: string, timestamp: number): string =>
      JSON.stringify({ value, timestamp, partition: 0 });
    const stdin = Readable.from([[1000, 2000, 3000].map((time) => line(`t${time}`, time)).join("\n")]);
    await ok(["topic", "trim", topic, "--before", "-1", "--yes"]);
    await ok(["produce", topic, "--ndjson"], { stdin });
    expect(await ok(["consume", topic, "-o", "@1500,3000", "-f", "%v "])).toBe("t2000 ");
  });

  test("without --exit-at-end it goes on until it is interrupted", async () => {
    const controller = new AbortController();
    const running = cli(["consume", topic, "-o", "end"], { signal: controller.signal });
    controller.abort(new Interruption("SIGTERM"));
    expect((await running).code).toBe(143);
  });

  test("on a terminal records are blocks; --meta-only leaves keys and values out", async () => {
    const shown = await ok(["consume", topic, "-p", "1", "--exit-at-end"], { isTTY: true });
    expect(shown).toMatch(new RegExp(`^${topic}-1 @ 0  20\\d\\d-.*Z\n  value  b0\n$`));
    const [record] = await records("-p", "1", "--meta-only");
    expect(record).toMatchObject({ offset: "0", keySize: null, valueSize: 2 });
    expect(record).not.toHaveProperty("value");
  });

  test("two topics at once, each under its name", async () => {
    await ok(["topic", "create", `${topic}-other`]);
    await ok(["produce", `${topic}-other`, "--value", "z"]);
    const shown = await ok(["consume", topic, `${topic}-other`, "--exit-at-end", "-f", "%t "]);
    expect(shown.split(" ").sort()).toEqual(["", topic, topic, topic, topic, `${topic}-other`]);
  });
});

describe("--json has stable shapes", () => {
  test("of topic commands", async () => {
    topic = "json-topics";
    expect(stable(await ok(["topic", "create", topic, "--json", "-p", "1"]))).toMatchSnapshot("create");
    await ok(["produce", topic, "--value", "x"]);
    const listed = stable(await ok(["topic", "list", "--json"])) as { name: string }[];
    expect(listed.filter(({ name }) => name === topic)).toMatchSnapshot("list");
    expect(stable(await ok(["topic", "describe", topic, "--json"]))).toMatchSnapshot("describe");
    expect(stable(await ok(["topic", "offsets", topic, "--json"]))).toMatchSnapshot("offsets");
    const altered = await ok([
      "topic",
      "alter-config",
      topic,
      "--json",
      "-s",
      "retention.ms=1d",
      "-u",
      "flush.ms",
    ]);
    expect(stable(altered)).toMatchSnapshot("alter-config");
    expect(stable(await ok(["topic", "add-partitions", topic, "-t", "2", "--json"]))).toMatchSnapshot(
      "add-partitions",
    );
    expect(
      stable(await ok(["topic", "trim", topic, "--before", "1", "--partition", "0", "--yes", "--json"])),
    ).toMatchSnapshot("trim");
    expect(stable(await ok(["topic", "delete", topic, "--yes", "--json"]))).toMatchSnapshot("delete");
  });

  test("of produce, consume and bench", async () => {
    topic = "json-records";
    await create();
    expect(stable(await ok(["produce", topic, "--value", "x", "-k", "k", "--json"]))).toMatchSnapshot(
      "produce one",
    );
    const stdin = Readable.from(["a\nb\n"]);
    expect(stable(await ok(["produce", topic, "--json"], { stdin }))).toMatchSnapshot("produce lines");
    expect(stable(await ok(["consume", topic, "-n", "1", "--json"]))).toMatchSnapshot("consume");
    expect(stable(await ok(["bench", "consume", topic, "--json"]))).toMatchSnapshot("bench consume");
  });

  test("of config print", async () => {
    const printed = await ok(["config", "print", "--json", "--changed", "--set", "node.id=7"]);
    expect(stable(printed)).toMatchSnapshot("config print");
  });
});

describe("bench", () => {
  test("produce, produce --rate, e2e and consume report what they did", async () => {
    await create("-p", "2");
    const write = ["-d", "150ms", "--warmup", "20ms"];
    const produced = JSON.parse(await ok(["bench", "produce", topic, "--json", ...write])) as {
      records: number;
    };
    expect(produced.records).toBeGreaterThan(0);
    const limited = JSON.parse(
      await ok(["bench", "produce", topic, "--json", "-n", "10", "--warmup", "0", "-s", "7"]),
    ) as object;
    expect(limited).toMatchObject({ records: 10, bytes: 70 });
    const paced = await ok(["bench", "produce", topic, "--rate", "200", "--linger", "0", ...write]);
    expect(paced).toMatch(
      /^produce: 30 records in .* records\/s, .* MB\/s {2}p50 .* ms, p99 .* ms, p99\.9 .* ms, max /,
    );
    const endToEnd = JSON.parse(await ok(["bench", "e2e", topic, "--json", "--rate", "200", ...write])) as {
      records: number;
      latencyMs: { p50: number; max: number };
    };
    expect(endToEnd.records).toBe(30);
    expect(endToEnd.latencyMs.p50).toBeGreaterThan(0);
    expect(endToEnd.latencyMs.max).toBeLessThan(5000);
    const end = (await ok(["topic", "offsets", topic, "--json"])).matchAll(/"end": "(\d+)"/g);
    const written = Array.from(end, (match) => Number(match[1])).reduce((sum, one) => sum + one, 0);
    expect(JSON.parse(await ok(["bench", "consume", topic, "--json"]))).toMatchObject({ records: written });
  });
});
