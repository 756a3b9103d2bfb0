import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFlights } from "../../examples/flights/dataset.ts";
import { LograftClient } from "../../src/client/index.ts";
import { startBroker } from "../../src/index.ts";

/*
 * Kafka's own segment dump (Maven kafka-tools 4.3.0) reads what this broker wrote. It needs a JVM and Maven, which puts
 * the jars into a folder of its own; where either is missing the test says so and is skipped.
 */
const run = promisify(execFile);
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/kafka-tools-4.3.0", import.meta.url));
const TOOL = "org.apache.kafka.tools.DumpLogSegments";
/** What the tool prints when it does not like something. */
const COMPLAINTS =
  /mismatch|not valid|isvalid: false|corrupt|Non-consecutive|out of order|exception|error|found (timestamp|offset)|is followed by/i;
let missing: string | undefined;
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-dump-"));
  try {
    await run("java", ["-version"]);
    if (!existsSync(join(CACHE, "ready"))) {
      await mkdir(CACHE, { recursive: true });
      await writeFile(join(CACHE, "pom.xml"), pom());
      await run("mvn", [
        "-q",
        "-B",
        "-f",
        join(CACHE, "pom.xml"),
        "dependency:copy-dependencies",
        `-DoutputDirectory=${CACHE}/lib`,
      ]);
      await writeFile(join(CACHE, "ready"), "");
    }
  } catch (error) {
    missing = error instanceof Error ? error.message.split("\n")[0] : String(error);
    process.stderr.write(
      `\n*** NOT SHOWN: Kafka's DumpLogSegments over our files; no JVM or no Maven: ${missing}\n\n`,
    );
  }
}, 300_000);

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("Kafka's DumpLogSegments", () => {
  test("reads the segments and indexes of the flights data set without a complaint", async () => {
    if (missing !== undefined) return;
    const flights = (await loadFlights()).slice(0, 40_000);
    {
      await using broker = await startBroker({ dataDirectory: directory, port: 0 });
      await using client = new LograftClient({ brokers: [broker.address] });
      await client.admin().createTopics([
        {
          name: "flights",
          partitions: 2,
          configs: { "segment.bytes": "400000", "index.interval.bytes": "1024" },
        },
      ]);
      for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] as const) {
        await using producer = client.producer({ compression, batchSize: 8192, maxBatchSize: 8192 });
        for (const flight of flights) while (!producer.enqueue("flights", flight)) await producer.drained();
        await producer.flush();
      }
    }
    let records = 0;
    let indexEntries = 0;
    for (const partition of ["flights-0", "flights-1"]) {
      const folder = join(directory, partition);
      const names = await readdir(folder);
      const files = names
        .filter((name) => /\.(log|index|timeindex|snapshot)$/.test(name))
        .map((name) => join(folder, name));
      expect(files.filter((name) => name.endsWith(".log")).length).toBeGreaterThan(2);
      const dump = await dumpFiles(files, ["--deep-iteration"]);
      expect(complaintsOf(dump)).toEqual([]);
      records += dump.match(/^\| offset: /gm)?.length ?? 0;
      indexEntries += dump.match(/^offset: \d+ position: /gm)?.length ?? 0;
      const sanity = await dumpFiles(
        files.filter((name) => name.endsWith("index")),
        ["--index-sanity-check"],
      );
      expect(sanity.match(/passed sanity check/g)?.length).toBe(
        files.filter((name) => name.endsWith("index")).length,
      );
    }
    expect(records).toBe(flights.length * 5);
    expect(indexEntries).toBeGreaterThan(100);
  }, 180_000);
});

/**
 * The tool counts offsets from -1 on in each file, so it finds a gap before the first record of every segment that does
 * not begin at 0, Kafka's own too: that headline with that one pair is no complaint.
 */
function complaintsOf(dump: string): readonly string[] {
  const lines = dump
    .replaceAll(/^Non-consecutive offsets in \S+\n {2}-1 is followed by \d+\n(?! {2}\d)/gm, "")
    .split("\n");
  return lines.filter((line) => COMPLAINTS.test(line));
}

async function dumpFiles(files: readonly string[], options: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(
    "java",
    ["-cp", join(CACHE, "lib", "*"), TOOL, ...options, "--files", files.join(",")],
    {
      maxBuffer: 512 * 1024 * 1024,
    },
  );
  return `${stdout}\n${stderr
    .split("\n")
    .filter((line) => !/log4j|SLF4J|StatusLogger/i.test(line))
    .join("\n")}`;
}

function pom(): string {
  const dependency = (id: string): string =>
    `<dependency><groupId>org.apache.kafka</groupId><artifactId>${id}</artifactId><version>4.3.0</version></dependency>`;
  return (
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>lograft.test</groupId>` +
    `<artifactId>kafka-tools</artifactId><version>1</version><dependencies>${dependency("kafka-tools")}${dependency("kafka_2.13")}` +
    `</dependencies></project>\n`
  );
}
