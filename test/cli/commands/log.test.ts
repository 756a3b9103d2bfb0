import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cli } from "../harness.ts";

const CORPUS = fileURLToPath(new URL("../../corpus/kafka-segments", import.meta.url));
const SEGMENT = "00000000000000000000.log";
const partitions = (await readdir(CORPUS)).filter((name) => name.endsWith("-0"));

/** The sections of one of Kafka's own dumps, by their title. */
async function kafkaDump(name: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const sections = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of (await readFile(join(CORPUS, name), "utf8")).trimEnd().split("\n")) {
    if (line.startsWith("# ")) {
      lines = [];
      sections.set(line.slice(2), lines);
    } else lines.push(line);
  }
  return sections;
}

const batches = await kafkaDump("batches.txt");
const indexes = await kafkaDump("indexes.txt");

function lines(text: string): string[] {
  return text.trimEnd().split("\n");
}

describe("log dump of what Kafka wrote", () => {
  test.each(partitions)("prints the batches of %s as Kafka's own dump does", async (name) => {
    const { code, stdout, stderr } = await cli(["log", "dump", join(CORPUS, name, SEGMENT)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(lines(stdout).slice(1)).toEqual(batches.get(name));
  });

  test.each([...indexes.keys()])("prints %s as Kafka's own dump does", async (name) => {
    const { code, stdout } = await cli(["log", "dump", join(CORPUS, name)]);
    expect(code).toBe(0);
    expect(lines(stdout).slice(1)).toEqual(indexes.get(name));
  });

  test("a directory is all its files in the order of their names", async () => {
    const { stdout } = await cli(["log", "dump", `${join(CORPUS, "txn-0")}/`]);
    const titles = lines(stdout).filter((line) => line.startsWith("Dumping"));
    expect(titles.map((line) => line.split("/").at(-1))).toEqual([
      "00000000000000000000.index",
      SEGMENT,
      "00000000000000000000.timeindex",
      "00000000000000000000.txnindex",
      "00000000000000000069.snapshot",
    ]);
  });

  test("--print-data shows the records that the client sent, of every codec", async () => {
    const expected = JSON.parse(await readFile(join(CORPUS, "expected.json"), "utf8")) as Record<
      string,
      unknown[]
    >;
    for (const codec of ["none", "gzip", "snappy", "lz4", "zstd"]) {
      const path = join(CORPUS, `rd-${codec}-0`, SEGMENT);
      const { stdout } = await cli(["log", "dump", "--print-data", "--json", path]);
      const records = lines(stdout)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ type }) => type === "record")
        .map(({ offset, timestamp, key, value, headers }) => ({
          offset: Number(offset),
          timestamp: Number(timestamp),
          key,
          value,
          headers: (headers as { key: string; value: string | null }[]).map((header) => [
            header.key,
            header.value,
          ]),
        }));
      expect(records, codec).toEqual(expected[`rd-${codec}`]);
    }
  });

  test("--deep shows records without their data, with sequences and transaction markers", async () => {
    const { stdout } = await cli(["log", "dump", "--deep", join(CORPUS, "txn-0", SEGMENT)]);
    const records = lines(stdout).filter((line) => line.startsWith("| "));
    expect(records).toHaveLength(69);
    expect(records[0]).toMatch(/^\| offset: 0 CreateTime: \d+ keySize: .* sequence: 0 headerKeys: \[.*\]$/);
    expect(records.filter((line) => line.includes("endTxnMarker: COMMIT coordinatorEpoch: 0"))).toHaveLength(
      2,
    );
    expect(records.filter((line) => line.includes("endTxnMarker: ABORT coordinatorEpoch: 0"))).toHaveLength(
      2,
    );
  });

  test("the JSON of a batch has strings for 64 bits", async () => {
    const { stdout } = await cli(["log", "dump", "--json", join(CORPUS, "rd-zstd-0", SEGMENT)]);
    const { file, ...batch } = JSON.parse(stdout) as Record<string, unknown>;
    expect(file).toBe(join(CORPUS, "rd-zstd-0", SEGMENT));
    expect(batch).toMatchInlineSnapshot(`
      {
        "baseOffset": "0",
        "baseSequence": 0,
        "codec": "zstd",
        "crc": 1526478927,
        "deleteHorizonMs": null,
        "isControl": false,
        "isTransactional": false,
        "isValid": true,
        "lastOffset": "199",
        "lastSequence": 199,
        "leaderEpoch": 0,
        "magic": 2,
        "maxTimestamp": "1700000007363",
        "position": 0,
        "producerEpoch": 0,
        "producerId": "1",
        "recordCount": 200,
        "sizeBytes": 2925,
        "timestampType": "CreateTime",
        "type": "batch",
      }
    `);
  });
});

describe("log verify of what Kafka wrote", () => {
  test("finds all of it sound", async () => {
    const { code, stdout, stderr } = await cli(["log", "verify", CORPUS]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "sound\n" });
    expect(lines(stdout)).toHaveLength(partitions.length + 1);
    expect(stdout).toMatchSnapshot();
  });

  test("prints a stable JSON shape", async () => {
    const { stdout } = await cli(["log", "verify", "--json", join(CORPUS, "txn-0")]);
    expect(JSON.parse(stdout)).toMatchInlineSnapshot(`
      {
        "errorCount": 0,
        "partitions": [
          {
            "batchCount": 10,
            "endOffset": "69",
            "errorCount": 0,
            "findings": [],
            "gapCount": 0,
            "logBytes": "3870",
            "partition": "txn-0",
            "recordCount": 69,
            "segmentCount": 1,
            "warningCount": 0,
          },
        ],
        "warningCount": 0,
      }
    `);
  });
});

describe("damage", () => {
  let directory = "";
  let segment = "";

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "lograft-log-"));
    await cp(join(CORPUS, "indexed-0"), join(directory, "indexed-0"), { recursive: true });
    segment = join(directory, "indexed-0", SEGMENT);
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test("a flipped bit in a record is an error: exit code 8 from both commands", async () => {
    const bytes = await readFile(segment);
    bytes[170] = (bytes[170] ?? 0) ^ 1;
    await writeFile(segment, bytes);
    const verified = await cli(["log", "verify", directory]);
    expect(verified.code).toBe(8);
    expect(verified.stdout).toContain(`error indexed-0/${SEGMENT} at position 93`);
    expect(verified.stderr).toMatch(/^damaged: \d+ errors?\n$/);
    const dumped = await cli(["log", "dump", segment]);
    expect(dumped.code).toBe(8);
    expect(lines(dumped.stdout).filter((line) => line.endsWith("isvalid: false"))).toHaveLength(1);
    expect(lines(dumped.stdout)).toHaveLength((batches.get("indexed-0")?.length ?? 0) + 1);
    const deep = await cli(["log", "dump", "--deep", segment]);
    expect(lines(deep.stdout).filter((line) => line.startsWith("| "))).toHaveLength(397);
  });

  test("a torn end is a warning, which the next start repairs, unless --strict", async () => {
    await truncate(segment, 25_780);
    const { code, stderr, stdout } = await cli(["log", "verify", directory]);
    expect(code).toBe(0);
    expect(stderr).toContain("the next start repairs that");
    expect(stdout).toContain("warning indexed-0/");
    expect((await cli(["log", "verify", "--strict", directory])).code).toBe(8);
    const dumped = await cli(["log", "dump", segment]);
    expect(dumped.code).toBe(8);
    expect(lines(dumped.stdout).at(-1)).toMatch(
      /^Found damage at position \d+: a batch of \d+ bytes with \d+ bytes left$/,
    );
    const json = await cli(["log", "dump", "--json", segment]);
    expect(JSON.parse(lines(json.stdout).at(-1) ?? "")).toMatchObject({ type: "problem", reason: "torn" });
  });

  test("--max-findings bounds what is shown, not what is counted", async () => {
    await writeFile(join(directory, "indexed-0", "00000000000000000000.index"), Buffer.alloc(16, 1));
    const all = JSON.parse((await cli(["log", "verify", "--json", directory])).stdout) as {
      warningCount: number;
    };
    const { stdout } = await cli(["log", "verify", "--max-findings", "0", directory]);
    expect(all.warningCount).toBeGreaterThan(0);
    expect(stdout).toContain(`indexed-0: and ${all.warningCount} more; raise --max-findings`);
  });

  test("a data directory without partitions is sound, and one that may be in use is named", async () => {
    await rm(join(directory, "indexed-0"), { recursive: true });
    await writeFile(join(directory, "meta.properties"), "");
    await writeFile(join(directory, ".lock"), "");
    const { code, stdout, stderr } = await cli(["log", "verify", directory]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toBe(
      `${directory} may be in use: what a running broker has not written yet shows as a warning here\n` +
        "no partitions\nsound\n",
    );
  });

  test("a damaged producer snapshot cannot be dumped", async () => {
    const path = join(directory, "indexed-0", "00000000000000000400.snapshot");
    await writeFile(path, "not a snapshot");
    const { code, stderr } = await cli(["log", "dump", path]);
    expect({ code, stderr }).toEqual({
      code: 8,
      stderr: `lograft: ${path} is no producer snapshot: its size or checksum is wrong\n`,
    });
  });

  test.each([
    [["log", "dump", "/nonexistent/00000000000000000000.log"], 3, "there is no such file or directory"],
    [["log", "verify", "/nonexistent"], 3, "there is no such directory"],
    [["log", "dump", join(CORPUS, "batches.txt")], 2, "files are told by their names"],
    [["log", "dump", tmpdir()], 2, "there is no segment in it"],
    [["log", "verify", join(CORPUS, "batches.txt")], 2, "is a file; name its directory"],
    [["log", "verify", join(CORPUS, "..")], 2, "neither a partition directory nor does it hold one"],
    [["log", "dump", ""], 2, "an empty path"],
  ])("%j ends with %i: %s", async (args, code, message) => {
    const run = await cli(args);
    expect(run.code).toBe(code);
    expect(run.stderr).toContain(message);
  });
});
