import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GroupScene } from "../group-scene.ts";
import type { CliRun } from "../harness.ts";

let scene: GroupScene;
let directory: string;

beforeAll(async () => {
  scene = await GroupScene.start();
  directory = await mkdtemp(join(tmpdir(), "lograft-console-"));
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function produce(text: string, ...args: readonly string[]): Promise<CliRun> {
  const stdin = Readable.from([Buffer.from(text)]);
  const all = ["kafka-console-producer", "--bootstrap-server", scene.address, ...args];
  return scene.cli(all, { env: {}, stdin });
}

function consume(...args: readonly string[]): Promise<CliRun> {
  return scene.cli(["kafka-console-consumer", "--bootstrap-server", scene.address, ...args], { env: {} });
}

test("headers, keys and nulls of its lines come out of the consumer as they went in", async () => {
  await scene.topic("heads", 1, []);
  const reader = ["parse.headers=true", "parse.key=true", "null.marker=NIL"].flatMap((one) => [
    "--property",
    one,
  ]);
  const lines = "a:1,b:2\tk1\tfirst\n\tk2\tNIL\n";
  expect(await produce(lines, "--topic", "heads", ...reader)).toMatchObject({ code: 0, stderr: "" });
  const shown = ["print.headers=true", "print.key=true", "print.partition=true", "print.offset=true"];
  const args = ["--topic", "heads", "--from-beginning", "--max-messages", "2"];
  const { stdout } = await consume(...args, ...shown.flatMap((one) => ["--property", one]));
  expect(stdout).toBe(
    "Partition:0\tOffset:0\ta:1,b:2\tk1\tfirst\nPartition:0\tOffset:1\tNO_HEADERS\tk2\tnull\n",
  );
  const other = ["null.literal=NIL", "key.separator=|", "print.key=true"];
  const again = await consume(...args, ...other.flatMap((one) => ["--formatter-property", one]));
  expect(again.stdout).toBe("k1|first\nk2|NIL\n");
});

test("takes its older and newer flags, where --timeout is how long a batch waits", async () => {
  await scene.topic("flags", 1, []);
  const run = await produce(
    "k=v\n",
    "--topic",
    "flags",
    "--request-required-acks",
    "-1",
    "--compression-codec",
    "--batch-size",
    "1000",
    "--timeout",
    "1",
    "--max-memory-bytes",
    "1000000",
    "--sync",
    "--reader-property",
    "parse.key=true",
    "--reader-property",
    "key.separator==",
    "--command-property",
    "delivery.timeout.ms=30000",
    "--request-timeout-ms",
    "30000",
  );
  expect(run).toMatchObject({ code: 0, stderr: "" });
  const { stdout } = await consume(
    "--topic",
    "flags",
    "--from-beginning",
    "--max-messages",
    "1",
    "--property",
    "print.key=true",
  );
  expect(stdout).toBe("k\tv\n");
});

test("takes its settings from a file too, and flags before the file", async () => {
  await scene.topic("filed", 1, []);
  const path = join(directory, "producer.properties");
  await writeFile(path, "acks=5\ncompression.type=gzip\n");
  const bad = await produce("v\n", "--topic", "filed", "--producer.config", path);
  expect(bad.stderr).toContain("--acks 5: there is all, 1 and 0");
  expect(bad.code).toBe(2);
  const good = await produce(
    "v\n",
    "--topic",
    "filed",
    "--command-config",
    path,
    "--producer-property",
    "acks=1",
  );
  expect(good.code).toBe(0);
});

test("a line without a separator is refused as it stands, or taken as a value", async () => {
  await scene.topic("lenient", 1, []);
  const args = ["--topic", "lenient", "--property", "parse.key=true"];
  const refused = await produce("plain\n", ...args);
  expect(refused.stderr).toContain(
    'a line has no key.separator "\\t": "plain"; add it, or give ignore.error=true',
  );
  expect(refused.code).toBe(2);
  expect((await produce("plain\n", ...args, "--property", "ignore.error=true")).code).toBe(0);
  const { stdout } = await consume("--topic", "lenient", "--from-beginning", "--max-messages", "1");
  expect(stdout).toBe("plain\n");
});
