import * as fc from "fast-check";
import { expect, test } from "vitest";
import { LograftError } from "../../src/base/errors.ts";
import { decodeMetadataRecords, encodeMetadataRecords } from "../../src/metadata/record-codec.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { history, nodes, topicIdOf } from "./arbitrary-history.ts";

const ONE_OF_EACH: readonly MetadataRecord[] = [
  {
    type: "BrokerRegistration",
    nodeId: nodes(7)[0]!,
    incarnationId: "AAECAwQFRgeICQoLDA0ODw",
    directoryId: "BAECAwQFRgeICQoLDA0ODw",
    clean: true,
  },
  { type: "Topic", name: "orders", topicId: topicIdOf(1) },
  {
    type: "Partition",
    topicId: topicIdOf(1),
    partition: 0,
    replicas: nodes(7, 8),
    isr: nodes(7),
    leader: nodes(7)[0]!,
    leaderEpoch: leaderEpoch(3),
    partitionEpoch: 9,
  },
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
  const record = ONE_OF_EACH[2]!;
  expect(encodeMetadataRecords([record]).toString("hex")).toBe(
    "03002e" +
      Buffer.from(topicIdOf(1), "base64url").toString("hex") +
      "00000000" +
      "00000007" +
      "00000003" +
      "00000009" +
      "02" +
      "00000007" +
      "00000008" +
      "01" +
      "00000007",
  );
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
  const bytes = Buffer.from(encodeMetadataRecords([ONE_OF_EACH[1]!]));
  bytes[1] = 1;
  expect(() => decodeMetadataRecords(bytes)).toThrow("type 2 version 1");
  expect(codeOf(() => decodeMetadataRecords(bytes))).toBe("DATA_DIR_VERSION");
  bytes[0] = 99;
  expect(codeOf(() => decodeMetadataRecords(bytes))).toBe("DATA_DIR_VERSION");
});

test("a node count larger than the record is damage, not an allocation", () => {
  const bytes = Buffer.from(encodeMetadataRecords([ONE_OF_EACH[2]!]));
  bytes[3 + 16 + 16] = 0x7f;
  expect(codeOf(() => decodeMetadataRecords(bytes))).toBe("METADATA_CORRUPT");
});

test("partitions with equal replicas share one list", () => {
  const partition = ONE_OF_EACH[2]! as MetadataRecord & { type: "Partition" };
  const [first, second] = decodeMetadataRecords(
    encodeMetadataRecords([partition, { ...partition, partition: 1 }]),
  ) as (MetadataRecord & { type: "Partition" })[];
  expect(second!.replicas).toBe(first!.replicas);
});
