import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LograftClient, type RecordAck } from "../../src/client/index.ts";
import { RPC_CODES } from "../../src/rpc/status.ts";
import { BrokerProcess } from "../../src/chaos/broker-process.ts";
import { freePort } from "../../src/chaos/free-port.ts";
import { startRefused } from "./start-refused.ts";
import { Calls } from "./calls.ts";
import { Neighbour } from "./neighbour.ts";

/** Lines of a broker are written behind its back. */
const LOGGED = { timeout: 10_000 };

const TOPIC = "kept";
const RECORDS = 200;

/** A data directory with acknowledged records in it, cleanly stopped; each test gets a copy. */
let template: string;
let directory: string;
let acks: RecordAck[];

beforeAll(async () => {
  template = await mkdtemp(join(tmpdir(), "lograft-template-"));
  await using broker = await BrokerProcess.start({ dataDirectory: template, port: 0 });
  await using client = new LograftClient({ brokers: [broker.address] });
  const configs = { "segment.bytes": "4096" };
  await client.admin().createTopics([{ name: TOPIC, partitions: 2, configs }, { name: "other" }]);
  acks = await fill(client, TOPIC, "first");
  expect(await broker.stop()).toBe(0);
});

afterAll(async () => {
  await rm(template, { recursive: true, force: true });
});

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-directory-"));
  await cp(template, directory, { recursive: true });
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function valueOf(run: string, index: number): string {
  return `${run} ${index} ${"x".repeat(100)}`;
}

/** In batches of few records, so that a small segment holds several. */
async function fill(client: LograftClient, topic: string, run: string): Promise<RecordAck[]> {
  await using producer = client.producer({ batchSize: 1024 });
  const sends = Array.from({ length: RECORDS }, async (_, index) =>
    producer.send(topic, { value: valueOf(run, index), partition: index % 2 }),
  );
  return await Promise.all(sends);
}

/** Everything in a topic, "partition/offset" to value. */
async function readTopic(client: LograftClient, topic: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const [details] = await client.admin().describeTopics([topic]);
  const partitions = (details?.partitions ?? []).map(({ partition }) => ({ topic, partition }));
  const ends = await client.admin().listOffsets(partitions, "end");
  let left = ends.reduce((sum, { offset }) => sum + offset, 0);
  if (left === 0) return found;
  await using consumer = client.consumer({ topics: [topic] });
  for await (const record of consumer.messages()) {
    found.set(`${record.partition}/${record.offset}`, record.value?.toString() ?? "");
    left -= 1;
    if (left === 0) break;
  }
  return found;
}

function expectAll(found: ReadonlyMap<string, string>): void {
  for (const [index, ack] of acks.entries()) {
    expect(found.get(`${ack.partition}/${ack.offset}`), `record ${index}`).toBe(valueOf("first", index));
  }
}

/** Every file but those that say who runs and how it stopped, with its content. */
async function contents(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of await readdir(directory, { recursive: true })) {
    if (/clean-shutdown|\.lock$|LOCK$|LOG$|LOG\.old$/.test(name)) continue;
    if ((await stat(join(directory, name))).isFile()) {
      files.set(name, (await readFile(join(directory, name))).toString("latin1"));
    }
  }
  return files;
}

async function flip(name: string, at: number): Promise<void> {
  const path = join(directory, name);
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

function refusedStart(...settings: readonly string[]): ReturnType<typeof startRefused> {
  const all = ["listeners=CLIENT://127.0.0.1:0", ...settings];
  return startRefused(["--data-dir", directory, ...all.flatMap((setting) => ["--set", setting])]);
}

/** The start refuses with this code and text; every byte of the data is as it was, and the directory is not locked. */
async function expectRefusal(
  code: number,
  text: RegExp,
  start: () => ReturnType<typeof startRefused> = () => refusedStart(),
): Promise<void> {
  const before = await contents();
  const refused = await start();
  expect(refused.text).toMatch(text);
  expect(refused.text).not.toMatch(/\n\s+at |bug/);
  expect(refused.code).toBe(code);
  expect(await contents()).toEqual(before);
}

describe("a start refuses, and touches nothing", () => {
  test("the directory of a broker that runs: exit 4, and the first goes on", async () => {
    await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    const refused = await refusedStart();
    expect(refused.code).toBe(4);
    expect(refused.text).toMatch(new RegExp(`${directory}.*(in use|another process|lock)[^]*${broker.pid}`));
    await using client = new LograftClient({ brokers: [broker.address] });
    expectAll(await readTopic(client, TOPIC));
    expect(await broker.stop()).toBe(0);
  });

  test("the directory of a newer version: exit 78, naming both versions", async () => {
    const path = join(directory, "meta.properties");
    await writeFile(path, (await readFile(path, "utf8")).replace("version=1", "version=9"));
    await expectRefusal(78, /meta\.properties.*version 9.*version 1.*start the release that wrote it/);
  });

  test("another node.id or cluster.id: exit 2, naming both values", async () => {
    await expectRefusal(2, /node\.id=1.*says 5/, () => refusedStart("node.id=5"));
    const other = "AAAAAAAAAAAAAAAAAAAAAA";
    await expectRefusal(2, new RegExp(`cluster\\.id=.*says ${other}`), () =>
      refusedStart(`cluster.id=${other}`),
    );
  });

  test.each([
    ["noise", "\u0000\u0001 noise"],
    ["nothing", ""],
    ["a version only", "version=1\n"],
  ])("meta.properties that holds %s: exit 1, naming the file", async (_what, text) => {
    await writeFile(join(directory, "meta.properties"), text);
    await expectRefusal(1, /meta\.properties.*damaged.*restore it/);
  });

  test("meta.properties that is gone beside partitions", async () => {
    await rm(join(directory, "meta.properties"));
    await expectRefusal(1, /meta\.properties is missing.*restore it/);
  });

  const STORE = join("quorum", "store");

  test("a damaged metadata store, wherever the bit is: nothing is deleted and the next start says the same", async () => {
    const name = (await readdir(join(directory, STORE))).find((file) => file.endsWith(".log")) ?? "";
    const log = join(STORE, name);
    const good = await readFile(join(directory, log));
    for (const at of [3, 20, Math.floor(good.length / 3)]) {
      await flip(log, at);
      await expectRefusal(1, /metadata cannot be trusted.*nothing was changed or deleted.*backup/);
      await expectRefusal(1, /metadata cannot be trusted/);
      await writeFile(join(directory, log), good);
    }
    // Put back as the message says, it starts, and all is there.
    await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    await using client = new LograftClient({ brokers: [broker.address] });
    expectAll(await readTopic(client, TOPIC));
  }, 20_000);

  test("metadata that lost its end, or all of it, is not taken for an older or an empty one", async () => {
    const name = (await readdir(join(directory, STORE))).find((file) => file.endsWith(".log")) ?? "";
    const path = join(directory, STORE, name);
    const good = await readFile(path);
    const partitions = (await readdir(directory)).filter((entry) => entry.startsWith(TOPIC)).length;
    await writeFile(path, good.subarray(0, good.length - 20));
    // The store tidies what it finds of its journal; the metadata in it is not touched.
    const text: unknown = expect.stringMatching(/metadata cannot be trusted.*nothing was changed/);
    expect(await refusedStart()).toMatchObject({ code: 1, text });
    await rm(join(directory, STORE), { recursive: true });
    await expectRefusal(1, /metadata cannot be trusted.*nothing was changed/);
    await rm(join(directory, "quorum"), { recursive: true });
    await expectRefusal(1, /metadata cannot be trusted.*nothing was changed/);
    expect((await readdir(directory)).filter((entry) => entry.startsWith(TOPIC))).toHaveLength(partitions);
  }, 20_000);

  test("an unknown key: exit 2, with the nearest name", async () => {
    await expectRefusal(2, /log\.retention\.hourz.*did you mean log\.retention\.hours/, () =>
      refusedStart("log.retention.hourz=3"),
    );
  });

  test("a port that is in use: exit 4, naming address and next step", async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const refused = await refusedStart(`listeners=CLIENT://127.0.0.1:${port}`);
    expect(refused.text).toMatch(new RegExp(`127\\.0\\.0\\.1:${port} is in use.*choose another port`));
    expect(refused.code).toBe(4);
    server.close();
    // It had opened the directory by then, and gave it back in order.
    await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    expect(broker.log).not.toMatch(/did not stop in order/);
  });
});

describe("a sealed segment with a flipped bit", () => {
  async function damaged(): Promise<{ readonly partition: number; readonly firstBad: number }> {
    const folder = `${TOPIC}-0`;
    const segments = (await readdir(join(directory, folder))).filter((name) => name.endsWith(".log")).sort();
    expect(segments.length).toBeGreaterThan(3);
    const second = segments[1] ?? "";
    // In the value of a record of the segment's first batch.
    await flip(join(folder, second), 61 + 40);
    return { partition: 0, firstBad: Number(second.slice(0, -".log".length)) };
  }

  test("is told to who reads it, never given out; what is before and behind it, and others, are served", async () => {
    const { partition, firstBad } = await damaged();
    await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    await using client = new LograftClient({ brokers: [broker.address] });
    const calls = new Calls(broker);
    const good = acks.filter((ack) => ack.partition === partition && ack.offset < firstBad).length;

    const found: string[] = [];
    const read = async (from: number): Promise<void> => {
      await using consumer = client.consumer({ assign: [{ topic: TOPIC, partition, from }] });
      for await (const record of consumer.messages({ signal: AbortSignal.timeout(15_000) })) {
        found.push(record.value?.toString() ?? "");
        if (record.offset === RECORDS / 2 - 1) return;
      }
    };
    await expect(read(0)).rejects.toMatchObject({
      code: expect.stringMatching(/CORRUPT|STORAGE/) as unknown,
    });
    expect(found).toHaveLength(good);
    expect(found).toEqual(
      acks.flatMap((ack, i) => (ack.partition === 0 && ack.offset < firstBad ? [valueOf("first", i)] : [])),
    );

    const subscribed = await calls.call("Subscribe", {
      topic: TOPIC,
      partitions: [partition],
      offset: 0,
      stopAtEnd: true,
    });
    expect(subscribed.errorName).toMatch(/CORRUPT|STORAGE/);
    const given = subscribed.answers.flatMap(
      (answer) => answer["records"] as readonly { readonly value: Buffer }[],
    );
    expect(given.map((record) => record.value.toString())).toEqual(found);

    found.length = 0;
    await read(firstBad + 50);
    expect(found).toHaveLength(RECORDS / 2 - firstBad - 50);

    await using other = client.consumer({ assign: [{ topic: TOPIC, partition: 1, from: "beginning" }] });
    expect((await other.messages().next()).value?.value?.toString()).toBe(valueOf("first", 1));
    const ack = await client.producer().send(TOPIC, { value: "after", partition });
    expect(ack.offset).toBe(RECORDS / 2);
    calls.close();
    expect(await broker.stop()).toBe(0);
    expect(broker.log).not.toMatch(/\bbug\b/);
  }, 30_000);

  test("found by the check after a kill, it is not cut off, and the records behind it stay", async () => {
    await damaged();
    // Without the marker of a clean stop, the start has to look.
    await rm(join(directory, "clean-shutdown"));
    await rm(join(directory, "recovery-point-offset-checkpoint"));
    const sizeBefore = await sizeOf(`${TOPIC}-0`);
    await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    await using client = new LograftClient({ brokers: [broker.address] });
    await using other = client.consumer({ assign: [{ topic: TOPIC, partition: 1, from: "beginning" }] });
    expect((await other.messages().next()).value?.value?.toString()).toBe(valueOf("first", 1));
    expect(await sizeOf(`${TOPIC}-0`)).toBe(sizeBefore);
    await expect.poll(() => broker.log, LOGGED).toMatch(new RegExp(`${TOPIC}-0`));
    expect(broker.log).not.toMatch(/\bbug\b/);
  });

  async function sizeOf(folder: string): Promise<number> {
    let size = 0;
    for (const name of await readdir(join(directory, folder))) {
      if (name.endsWith(".log")) size += (await stat(join(directory, folder, name))).size;
    }
    return size;
  }
});

describe("a stop", () => {
  test("by SIGTERM is clean: exit 0, the marker is there, the next start has nothing to recover", async () => {
    const broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    expect(await readdir(directory)).not.toContain("clean-shutdown");
    expect(await broker.stop()).toBe(0);
    expect(await readdir(directory)).toContain("clean-shutdown");
    await using again = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    expect(again.log).not.toMatch(/did not stop in order/);
    await using client = new LograftClient({ brokers: [again.address] });
    expectAll(await readTopic(client, TOPIC));
  });

  test("waits for nobody who is only connected; producers and consumers go on with the next start", async () => {
    const port = await freePort();
    // A stop that waited for its clients would wait for half of this.
    const settings = ["shutdown.timeout.ms=120000"];
    const broker = await BrokerProcess.start({ dataDirectory: directory, port, settings });
    const calls = new Calls(broker);
    const neighbour = await Neighbour.start(broker);
    const idle = [
      calls.stream("direct", "Produce"),
      calls.stream("grpc-js", "Produce"),
      calls.stream("grpc-js", "Publish"),
    ];
    const subscribed = calls.call("Subscribe", { topic: TOPIC });
    await Promise.all(idle.slice(0, 2).map(async (stream) => stream.waitFor(1)));
    expect(await broker.stop()).toBe(0);
    for (const stream of idle) expect((await stream.outcome()).status.code).toBe(RPC_CODES.UNAVAILABLE);
    expect((await subscribed).status.code).toBe(RPC_CODES.UNAVAILABLE);
    calls.close();
    expect(await readdir(directory)).toContain("clean-shutdown");
    await using again = await BrokerProcess.start({ dataDirectory: directory, port });
    expect(again.log).not.toMatch(/did not stop in order/);
    await neighbour.progress();
    const { faults } = await neighbour.finish(again);
    expect(faults).toEqual([]);
  });

  test("by SIGKILL leaves no marker; the next start says so, and has every acknowledged record", async () => {
    const broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    const client = new LograftClient({ brokers: [broker.address] });
    const more = await fill(client, TOPIC, "second");
    await broker.kill();
    await client.close();
    expect(await readdir(directory)).not.toContain("clean-shutdown");
    await using again = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    await expect.poll(() => again.log, LOGGED).toMatch(/did not stop in order/);
    await using reader = new LograftClient({ brokers: [again.address] });
    const found = await readTopic(reader, TOPIC);
    expectAll(found);
    for (const [index, ack] of more.entries()) {
      expect(found.get(`${ack.partition}/${ack.offset}`)).toBe(valueOf("second", index));
    }
    expect(found.size).toBe(2 * RECORDS);
  });
});

test("a topic that is deleted and made again under its name shows no old record, after a restart either", async () => {
  const again = async (broker: BrokerProcess): Promise<Map<string, string>> => {
    await using client = new LograftClient({ brokers: [broker.address] });
    return await readTopic(client, TOPIC);
  };
  {
    await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    await using client = new LograftClient({ brokers: [broker.address] });
    await client.admin().deleteTopics([TOPIC]);
    await client.admin().createTopics([{ name: TOPIC, partitions: 2 }]);
    expect((await again(broker)).size).toBe(0);
    expect((await client.producer().send(TOPIC, { value: "new", partition: 0 })).offset).toBe(0);
    expect([...(await again(broker)).values()]).toEqual(["new"]);
    await broker.kill();
  }
  await using broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
  expect([...(await again(broker)).values()]).toEqual(["new"]);
});
