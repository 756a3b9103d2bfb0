import * as fc from "fast-check";
import { expect, test } from "vitest";
import { LograftError } from "../../src/base/errors.ts";
import { decodeMetadataRecords, encodeMetadataRecords } from "../../src/metadata/record-codec.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { NO_NODE } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { history, nodes, partitionOf, registrationOf, topicIdOf } from "./arbitrary-history.ts";

const PARTITION = partitionOf(1, 0, {
  replicas: nodes(7, 8, 9),
  isr: nodes(7),
  elr: nodes(8),
  lastKnownElr: nodes(9),
  leaderEpoch: leaderEpoch(3),
  partitionEpoch: 9,
});

const TOPIC = { type: "Topic", name: "orders", topicId: topicIdOf(1) } as const;

const ONE_OF_EACH: readonly MetadataRecord[] = [
  registrationOf(7, {
    brokerEpoch: 2 ** 40,
    rack: "rack-ä",
    brokerHost: "machine",
    features: new Map([
      ["b.version", { min: 1, max: 2 }],
      ["a.version", { min: 0, max: 65_535 }],
    ]),
  }),
  registrationOf(8, { clean: false, peerEndpoint: "", features: new Map() }),
  registrationOf(9, {
    listeners: [
      { name: "INSIDE", host: "inside-ä", port: 9092 },
      { name: "OUTSIDE", host: "::1", port: 65_535 },
    ],
  }),
  {
    type: "BrokerChange",
    nodeId: nodes(7)[0]!,
    brokerEpoch: 9,
    isFenced: false,
    isShuttingDown: true,
    isDrained: false,
  },
  {
    type: "BrokerChange",
    nodeId: nodes(7)[0]!,
    brokerEpoch: 9,
    isFenced: false,
    isShuttingDown: false,
    isDrained: true,
  },
  { type: "UnregisterBroker", nodeId: nodes(7)[0]! },
  { type: "FeatureLevel", name: "metadata.version", level: 3 },
  TOPIC,
  PARTITION,
  partitionOf(1, 1, {
    replicas: nodes(7, 8),
    isr: [],
    elr: nodes(8),
    lastKnownElr: nodes(7),
    leader: NO_NODE,
  }),
  partitionOf(1, 2, {
    replicas: nodes(9, 8, 7),
    addingReplicas: nodes(9),
    removingReplicas: nodes(7),
    isr: nodes(8, 7),
  }),
  { type: "TopicConfig", topicId: topicIdOf(1), key: "retention.ms", value: "1000" },
  { type: "TopicConfig", topicId: topicIdOf(1), key: "retention.ms", value: null },
  { type: "RemoveTopic", topicId: topicIdOf(1) },
  { type: "ProducerIds", nextProducerId: 2 ** 53 - 1 },
];

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error: unknown) {
    if (error instanceof LograftError) return String(error.code);
    throw error;
  }
  return "none";
}

const CHANGE: MetadataRecord = {
  type: "BrokerChange",
  nodeId: nodes(7)[0]!,
  brokerEpoch: 9,
  isFenced: false,
  isShuttingDown: true,
  isDrained: true,
};

test("each record type comes back as it was", () => {
  expect(decodeMetadataRecords(encodeMetadataRecords(ONE_OF_EACH))).toEqual(ONE_OF_EACH);
});

test("any history comes back as it was", () => {
  fc.assert(
    fc.property(history, (batches) => {
      for (const records of batches)
        expect(decodeMetadataRecords(encodeMetadataRecords(records))).toEqual(records);
    }),
    { numRuns: 100 },
  );
});

test("the bytes of a partition record do not change", () => {
  expect(encodeMetadataRecords([PARTITION]).toString("hex")).toBe(
    "03023e" +
      Buffer.from(topicIdOf(1), "base64url").toString("hex") +
      "00000000" +
      "00000007" +
      "00000003" +
      "00000009" +
      "03" +
      "000000070000000800000009" +
      "0100000007" +
      "0100000008" +
      "0100000009" +
      "00" +
      "00",
  );
});

test("at metadata.version 1 records have the bytes of the last release, and come back as they were", () => {
  const change = { ...CHANGE, isDrained: false };
  const bytes = encodeMetadataRecords([PARTITION, change], 1);
  const now = encodeMetadataRecords([PARTITION]);
  const partition = Buffer.concat([Buffer.from([3, 1, now.length - 3 - 2]), now.subarray(3, -2)]);
  expect(bytes.toString("hex")).toBe(
    partition.toString("hex") + "07000e" + "00000007" + "0000000000000009" + "0001",
  );
  expect(decodeMetadataRecords(bytes)).toEqual([PARTITION, change]);
  const [, latest] = [1, 2].map((level) => encodeMetadataRecords([PARTITION, change], level));
  expect(latest).toEqual(encodeMetadataRecords([PARTITION, change]));
  expect(latest).not.toEqual(bytes);
});

test("below metadata.version 3 the registration of a broker with one listener has the bytes of the last release", () => {
  const one = registrationOf(7);
  const now = encodeMetadataRecords([one]);
  // The empty list at the end is one byte, of which only the length knows otherwise.
  const before = Buffer.from(now.subarray(0, -1));
  before[1] = 1;
  before[2] = (now[2] ?? 0) - 1;
  expect(encodeMetadataRecords([one], 2).toString("hex")).toBe(before.toString("hex"));
  expect(decodeMetadataRecords(before)).toEqual([one]);
});

test("what only the latest body can say is said at any level (H19)", () => {
  expect(decodeMetadataRecords(encodeMetadataRecords(ONE_OF_EACH, 1))).toEqual(ONE_OF_EACH);
});

test("records of the versions before are read: nothing moves, nothing is drained", () => {
  const now = encodeMetadataRecords([PARTITION]);
  const partition = Buffer.concat([Buffer.from([3, 1, now.length - 3 - 2]), now.subarray(3, -2)]);
  const change = Buffer.from("07000e" + "00000007" + "0000000000000009" + "0001", "hex");
  expect(decodeMetadataRecords(Buffer.concat([partition, change]))).toEqual([
    PARTITION,
    {
      type: "BrokerChange",
      nodeId: nodes(7)[0],
      brokerEpoch: 9,
      isFenced: false,
      isShuttingDown: true,
      isDrained: false,
    },
  ]);
});

test("bytes that are cut anywhere between two records' borders are METADATA_CORRUPT", () => {
  const borders = new Set<number>();
  for (let count = 0; count <= ONE_OF_EACH.length; count++) {
    borders.add(encodeMetadataRecords(ONE_OF_EACH.slice(0, count)).length);
  }
  const bytes = encodeMetadataRecords(ONE_OF_EACH);
  for (let length = 0; length < bytes.length; length++) {
    const code = codeOf(() => decodeMetadataRecords(bytes.subarray(0, length)));
    expect([length, code]).toEqual([length, borders.has(length) ? "none" : "METADATA_CORRUPT"]);
  }
});

test("flipped bytes give records or a typed error, never another failure", () => {
  const bytes = encodeMetadataRecords(ONE_OF_EACH);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ flip;
      const code = codeOf(() => decodeMetadataRecords(damaged));
      expect(["none", "METADATA_CORRUPT", "DATA_DIR_VERSION"]).toContain(code);
    }),
    { numRuns: 500 },
  );
});

test("a type or version of a newer release is DATA_DIR_VERSION and names itself", () => {
  const bytes = Buffer.from(encodeMetadataRecords([TOPIC]));
  bytes[1] = 1;
  expect(() => decodeMetadataRecords(bytes)).toThrow("type 2 version 1");
  expect(codeOf(() => decodeMetadataRecords(bytes))).toBe("DATA_DIR_VERSION");
  bytes[0] = 99;
  expect(codeOf(() => decodeMetadataRecords(bytes))).toBe("DATA_DIR_VERSION");
});

test("a body version of the first release is refused, not misread", () => {
  const bytes = Buffer.from(encodeMetadataRecords([PARTITION]));
  expect(bytes[1]).toBe(2);
  bytes[1] = 0;
  expect(codeOf(() => decodeMetadataRecords(bytes))).toBe("DATA_DIR_VERSION");
});

test("the order in which a broker lists its features makes no difference to the bytes", () => {
  const bytesOf = (...names: string[]): Buffer => {
    const features = new Map(names.map((name) => [name, { min: 1, max: name.length }]));
    return Buffer.from(encodeMetadataRecords([registrationOf(1, { features })]));
  };
  expect(bytesOf("a", "bb")).toEqual(bytesOf("bb", "a"));
});

test("random bytes give records or a typed error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (body, type) => {
      const version = type === 1 || type === 3 ? 1 : 0;
      for (const bytes of [body, Uint8Array.of(type, version, body.length, ...body)]) {
        const code = codeOf(() => decodeMetadataRecords(bytes));
        expect(["none", "METADATA_CORRUPT", "DATA_DIR_VERSION"]).toContain(code);
      }
    }),
    { numRuns: 500 },
  );
});

test("a node count larger than the record is damage, not an allocation", () => {
  const bytes = Buffer.from(encodeMetadataRecords([PARTITION]));
  bytes[3 + 16 + 16] = 0x7f;
  expect(codeOf(() => decodeMetadataRecords(bytes))).toBe("METADATA_CORRUPT");
});

test("partitions with equal replicas share one list", () => {
  const [first, second] = decodeMetadataRecords(
    encodeMetadataRecords([PARTITION, { ...PARTITION, partition: 1 }]),
  ) as (MetadataRecord & { type: "Partition" })[];
  expect(second!.replicas).toBe(first!.replicas);
});
