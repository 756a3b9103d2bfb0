import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DeliveryError, isLograftError, LograftClient, type RecordAck } from "../../src/client/index.ts";
import { isRetriable, isErrorName } from "../../src/model/error-code.ts";
import { BrokerProcess } from "../../src/chaos/broker-process.ts";
import { Calls } from "./calls.ts";
import { batch, record } from "../model/batches.ts";

const MIB = 1024 * 1024;
const DISK_BYTES = 80 * MIB;
const BALLAST_BYTES = 24 * MIB;
const VALUE_BYTES = 16 * 1024;
const run = promisify(execFile);

let root: string;
let mountPoint: string;
/** Why there is no small disk here, or undefined. */
let missing: string | undefined;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lograft-full-"));
  mountPoint = join(root, "disk");
  await mkdir(mountPoint);
  try {
    const image = join(root, "image");
    await writeFile(image, "");
    await run("truncate", ["-s", String(DISK_BYTES), image]);
    await run("mkfs.ext4", ["-q", "-m", "0", image]);
    await run("mount", ["-o", "loop", image, mountPoint]);
  } catch (error) {
    missing = String(error).split("\n")[0];
  }
});

afterEach(async () => {
  if (missing === undefined) await run("umount", [mountPoint]);
  await rm(root, { recursive: true, force: true });
});

async function freeBytes(): Promise<number> {
  const { bavail, bsize } = await statfs(mountPoint);
  return bavail * bsize;
}

/** A value that says which one it is and does not compress. */
function valueOf(index: number): Buffer {
  return Buffer.concat([Buffer.from(`${index} `), Buffer.alloc(VALUE_BYTES, index % 251)]);
}

/** Reads the topic to its end: every acknowledged record at its place, the others sent, unanswered, and there once. */
async function expectAll(
  client: LograftClient,
  { acks, unknown }: { acks: ReadonlyMap<number, RecordAck>; unknown: ReadonlySet<number> },
): Promise<void> {
  const partitions = [0, 1].map((partition) => ({ topic: "filling", partition }));
  const ends = await client.admin().listOffsets(partitions, "end");
  let left = ends.reduce((sum, { offset }) => sum + offset, 0);
  const found = new Map<number, string>();
  await using consumer = client.consumer({ topics: ["filling"] });
  for await (const { partition, offset, value } of consumer.messages({
    signal: AbortSignal.timeout(20_000),
  })) {
    const index = Number.parseInt(value?.toString("latin1") ?? "", 10);
    expect(value?.equals(valueOf(index)), `the value at ${partition}/${offset}`).toBe(true);
    expect(found.get(index), `record ${index}, which is at ${partition}/${offset} as well`).toBeUndefined();
    found.set(index, `${partition}/${offset}`);
    if (--left === 0) break;
  }
  for (const [index, ack] of acks) {
    expect(found.get(index), `record ${index}`).toBe(`${ack.partition}/${ack.offset}`);
  }
  // A delivery timeout may end while the broker has just written: such a record may be there, no other.
  for (const [index, place] of found) {
    expect(acks.has(index) || unknown.has(index), `record ${index} at ${place} was refused`).toBe(true);
  }
}

function isShown(): boolean {
  if (missing === undefined) return true;
  process.stderr.write(`\n*** NOT SHOWN: a full disk; no file system could be mounted: ${missing}\n\n`);
  return false;
}

/** Takes every byte that is left. */
async function fillToTheBrim(path: string): Promise<void> {
  await expect(run("dd", ["if=/dev/zero", `of=${path}`, "bs=4096"])).rejects.toThrow(/No space left/);
  expect(await freeBytes()).toBeLessThan(64 * 1024);
}

test("a full disk: refusals that name it, nothing lost, reads and metadata go on, space resumes the writes", async () => {
  if (!isShown()) return;
  const ballast = join(mountPoint, "ballast");
  await writeFile(ballast, Buffer.alloc(BALLAST_BYTES, 1));
  await using broker = await BrokerProcess.start({ dataDirectory: join(mountPoint, "data"), port: 0 });
  const { pid } = broker;
  const client = new LograftClient({ brokers: [broker.address] });
  const calls = new Calls(broker);
  const admin = client.admin();
  await admin.createTopics([{ name: "filling", partitions: 2 }, { name: "small" }, { name: "doomed" }]);
  await client.producer().send("doomed", { value: Buffer.alloc(MIB / 2) });
  expect((await client.producer().send("small", { value: "before" })).offset).toBe(0);

  // Until it is full: an idempotent producer whose patience ends soon.
  const acks = new Map<number, RecordAck>();
  const unknown = new Set<number>();
  let next = 0;
  let refusal: unknown;
  {
    await using producer = client.producer({ deliveryTimeoutMs: 3000, requestTimeoutMs: 2000 });
    while (refusal === undefined && next < 10_000) {
      await Promise.all(
        Array.from({ length: 64 }, async (_, each) => {
          const index = next + each;
          try {
            acks.set(index, await producer.send("filling", { value: valueOf(index), partition: index % 2 }));
          } catch (error) {
            if (/disk|space|full/i.test(String(error))) refusal ??= error;
            // On a slow machine the patience may end before the disk does.
            else expect(error).toMatchObject({ code: "DELIVERY_TIMEOUT" });
            if (error instanceof DeliveryError && error.outcome === "unknown") unknown.add(index);
          }
        }),
      );
      next += 64;
    }
  }
  expect(isLograftError(refusal)).toBe(true);
  expect(acks.size).toBeGreaterThan(500);
  expect(broker.isRunning, broker.log).toBe(true);
  expect(await freeBytes()).toBeLessThan(2 * MIB);

  // Every answer to a write is a refusal that may be tried again and names the disk.
  const large = {
    topic: "filling",
    records: batch({ records: [record({ value: Buffer.alloc(MIB - 200) })] }),
  };
  const produced = await calls.produce(large);
  expect(produced.error).toBe("KAFKA_STORAGE_ERROR");
  expect(isErrorName(produced.error) && isRetriable(produced.error)).toBe(true);
  expect(produced.errorMessage).toMatch(/full|space/i);
  expect(produced.errorMessage).toContain(join(mountPoint, "data"));

  // Nothing that was acknowledged is lost, and who reads does not notice.
  await expectAll(client, { acks, unknown });
  const topics = (await admin.listTopics()).map(({ name }) => name).toSorted();
  expect(topics).toEqual(["doomed", "filling", "small"]);
  await using small = client.consumer({ topics: ["small"] });
  expect((await small.messages().next()).value?.value?.toString()).toBe("before");
  await admin.deleteTopics(["doomed"]);
  expect(broker.isRunning, broker.log).toBe(true);

  // Space comes back, and with it the writes: same process, no restart.
  await rm(ballast);
  await using producer = client.producer({ deliveryTimeoutMs: 20_000 });
  for (let index = next; index < next + 64; index++) {
    acks.set(index, await producer.send("filling", { value: valueOf(index), partition: index % 2 }));
  }
  expect((await producer.send("small", { value: "after" })).offset).toBe(1);
  await expectAll(client, { acks, unknown });
  expect(broker.pid).toBe(pid);
  expect(broker.isRunning).toBe(true);
  expect(broker.log).not.toMatch(/\bbug\b|unhandled/i);
  calls.close();
  await client.close();
  expect(await broker.stop()).toBe(0);
}, 60_000);

test("a disk full to the brim: metadata is refused before it is written, what makes room is not, a start works", async () => {
  if (!isShown()) return;
  const dataDirectory = join(mountPoint, "other-data");
  const filler = join(mountPoint, "filler");
  {
    await using broker = await BrokerProcess.start({ dataDirectory, port: 0 });
    await using client = new LograftClient({ brokers: [broker.address] });
    const admin = client.admin();
    await admin.createTopics([{ name: "kept" }, { name: "doomed" }]);
    expect((await client.producer().send("kept", { value: "before" })).offset).toBe(0);
    await fillToTheBrim(filler);
    const refusals = [
      admin.createTopics([{ name: "one-more" }]),
      admin.alterTopicConfigs("kept", { set: { "retention.ms": "3600000" } }),
      admin.createPartitions("kept", 2),
    ];
    for (const refusal of refusals) {
      await expect(refusal).rejects.toMatchObject({
        code: "DISK_FULL",
        retriable: true,
        message: expect.stringContaining(dataDirectory) as unknown,
      });
    }
    expect((await admin.listTopics()).map(({ name }) => name).toSorted()).toEqual(["doomed", "kept"]);
    await admin.deleteTopics(["doomed"]);
    expect((await admin.listTopics()).map(({ name }) => name)).toEqual(["kept"]);
    expect(broker.isRunning, broker.log).toBe(true);
    await rm(filler);
    await fillToTheBrim(filler);
    await broker.kill();
  }
  // A little room, and it is all there again.
  await rm(filler);
  await using broker = await BrokerProcess.start({ dataDirectory, port: 0 });
  await using client = new LograftClient({ brokers: [broker.address] });
  expect((await client.admin().listTopics()).map(({ name }) => name)).toEqual(["kept"]);
  expect((await client.producer().send("kept", { value: "after" })).offset).toBe(1);
  await using consumer = client.consumer({ topics: ["kept"] });
  expect((await consumer.messages().next()).value?.value?.toString()).toBe("before");
  expect(await broker.stop()).toBe(0);
}, 60_000);

test("a start on a full disk works, by the reserve, to have topics deleted", async () => {
  if (!isShown()) return;
  const dataDirectory = join(mountPoint, "third-data");
  const filler = join(mountPoint, "filler");
  {
    await using broker = await BrokerProcess.start({ dataDirectory, port: 0 });
    await using client = new LograftClient({ brokers: [broker.address] });
    await client.admin().createTopics([{ name: "kept" }, { name: "doomed" }]);
    await client.producer().send("kept", { value: "before" });
    await fillToTheBrim(filler);
    await broker.kill();
  }
  await using broker = await BrokerProcess.start({ dataDirectory, port: 0 });
  await using client = new LograftClient({ brokers: [broker.address] });
  await client.admin().deleteTopics(["doomed"]);
  await using consumer = client.consumer({ topics: ["kept"] });
  expect((await consumer.messages().next()).value?.value?.toString()).toBe("before");
  expect(broker.log).not.toMatch(/\bbug\b|unhandled/i);
  await rm(filler);
}, 60_000);
