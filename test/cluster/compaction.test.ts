import { afterAll, beforeAll, expect, test } from "vitest";
import type { StartPosition } from "../../src/client/index.ts";
import { LograftClient } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing.ts";
import type { RunningCluster } from "../../src/testing.ts";

const TOPIC = "table";
const KEYS = 5;
const RECORDS = 300;
/** Records of one batch. */
const AT_ONCE = 6;
const COMPACT = {
  "cleanup.policy": "compact",
  "segment.bytes": "2048",
  "min.cleanable.dirty.ratio": "0.01",
};

let cluster: RunningCluster;
let client: LograftClient;

beforeAll(async () => {
  cluster = await startCluster({
    config: { "raft.election.timeout.ms": "500", "log.cleaner.backoff.ms": "200" },
  });
  client = new LograftClient({ brokers: cluster.addresses });
  const wish = { name: TOPIC, partitions: 1, replicationFactor: 3, configs: COMPACT };
  await client.admin().createTopics([wish]);
});

afterAll(async () => {
  await client.close();
  await cluster.close();
});

interface Found {
  readonly offset: number;
  readonly key: string;
  readonly value: string | undefined;
}

/** The records from a position to the last that was written. */
async function readFrom(from: StartPosition): Promise<Found[]> {
  await using consumer = client.consumer({ assign: [{ topic: TOPIC, partition: 0, from }] });
  const found: Found[] = [];
  for await (const { offset, key, value } of consumer.messages({ signal: AbortSignal.timeout(30_000) })) {
    found.push({ offset, key: String(key), value: value === null ? undefined : String(value) });
    if (offset === RECORDS) break;
  }
  return found;
}

test("a compacted topic refuses a record without a key by a typed error, and takes the next one", async () => {
  await using producer = client.producer();
  await expect(producer.send(TOPIC, { value: "no key" })).rejects.toMatchObject({
    code: "INVALID_RECORD",
    retriable: false,
    message: expect.stringMatching(/table-0.*no key.*compacted/) as string,
  });
  for (let index = 0; index < RECORDS; index += AT_ONCE) {
    const some = Array.from({ length: AT_ONCE }, (_, more) => index + more);
    await Promise.all(
      some.map((each) =>
        producer.send(TOPIC, { key: `k${each % KEYS}`, value: `${each}`, timestamp: 1_000_000 + each }),
      ),
    );
  }
  const { offset } = await producer.send(TOPIC, { key: "k0", value: null });
  expect(offset).toBe(RECORDS);
});

test("its readers find the last record of each key, wherever in the gaps they begin", async () => {
  // The last segments are never compacted.
  await expect
    .poll(async () => (await readFrom("beginning")).length, { timeout: 60_000, interval: 100 })
    .toBeLessThan(RECORDS / 4);
  const all = await readFrom("beginning");
  const table = new Map(all.map(({ key, value }) => [key, value]));
  const expected = Array.from({ length: KEYS }, (_, key) => [`k${key}`, `${RECORDS - KEYS + key}`]);
  expect(table).toEqual(new Map([...expected, ["k0", undefined]] as [string, string | undefined][]));
  const kept = new Set(all.map(({ offset }) => offset));
  const inGap = Array.from({ length: RECORDS }, (_, offset) => offset).filter((offset) => !kept.has(offset));
  for (const from of [0, inGap[inGap.length >> 1] ?? 0, inGap.at(-1) ?? 0]) {
    // Compaction goes on beside: what it leaves in the end is there, and nothing that was gone before.
    const byOffset = await readFrom(from);
    // The record of that time is gone: the first of those that are not older is found.
    const byTime = await readFrom({ timestamp: 1_000_000 + from });
    const later = (await readFrom("beginning")).filter(({ offset }) => offset >= from);
    for (const found of [byOffset, byTime]) {
      expect(all.filter(({ offset }) => offset >= from)).toEqual(expect.arrayContaining(found));
      expect(found, `from ${from}`).toEqual(expect.arrayContaining(later));
    }
  }
});
