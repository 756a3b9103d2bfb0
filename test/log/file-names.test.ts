import { describe, expect, test } from "vitest";

import {
  deletedDirName,
  isDeletedDirName,
  parsePartitionDirName,
  parseSegmentFileName,
  partitionDirName,
  SEGMENT_FILE_KINDS,
  segmentFileName,
} from "../../src/log/file-names.ts";
import type { Offset } from "../../src/model/offsets.ts";
import { corpusFiles, corpusPartitions } from "./corpus.ts";

describe("segment file names", () => {
  test("have twenty digits, so that they sort as offsets do", () => {
    expect(segmentFileName(0 as Offset, "log")).toBe("00000000000000000000.log");
    expect(segmentFileName(Number.MAX_SAFE_INTEGER as Offset, "timeindex")).toBe(
      "00009007199254740991.timeindex",
    );
  });

  test("parse to what they were made of", () => {
    for (const kind of SEGMENT_FILE_KINDS) {
      for (const baseOffset of [0, 1, 12_345, Number.MAX_SAFE_INTEGER] as Offset[]) {
        expect(parseSegmentFileName(segmentFileName(baseOffset, kind))).toEqual({ baseOffset, kind });
      }
    }
  });

  test("of other files are not taken for them", () => {
    for (const name of [
      "",
      "0.log",
      "00000000000000000000.log.deleted",
      "00000000000000000000.cleaned",
      "000000000000000000000.log",
      "-0000000000000000001.log",
      "00009007199254740992.log",
      "99999999999999999999.log",
      "0000000000000000000a.log",
      "leader-epoch-checkpoint",
    ]) {
      expect(parseSegmentFileName(name), name).toBeUndefined();
    }
  });

  test("of Kafka's directories are all known", () => {
    for (const partition of corpusPartitions) {
      const names = corpusFiles(partition, "").map((path) => path.slice(partition.length + 1));
      const unknown = names.filter((name) => parseSegmentFileName(name) === undefined);
      expect(unknown.sort()).toEqual(["leader-epoch-checkpoint", "partition.metadata"]);
    }
  });
});

describe("partition directory names", () => {
  test("parse to what they were made of, with '-' in the topic", () => {
    for (const topicPartition of [
      { topic: "orders", partition: 0 },
      { topic: "a-b-3", partition: 12 },
      { topic: "x--", partition: 2147483647 },
      { topic: "t".repeat(249), partition: 1 },
    ]) {
      expect(parsePartitionDirName(partitionDirName(topicPartition))).toEqual(topicPartition);
    }
  });

  test("of other directories are not taken for them", () => {
    for (const name of [
      "",
      "orders",
      "orders-",
      "-1",
      "orders-01",
      "orders--1x",
      "o/o-1",
      "..-1",
      "o-2147483648",
      "ö-1",
    ]) {
      expect(parsePartitionDirName(name), name).toBeUndefined();
    }
    expect(parsePartitionDirName(`${"t".repeat(250)}-1`)).toBeUndefined();
  });

  test("of deleted partitions hold no partition and fit in 255 bytes", () => {
    const hex = "0123456789abcdef0123456789abcdef";
    const short = deletedDirName({ topic: "orders", partition: 3 }, hex);
    expect(short).toBe(`orders-3.${hex}-delete`);
    const long = deletedDirName({ topic: "t".repeat(249), partition: 2147483647 }, hex);
    expect(Buffer.byteLength(long)).toBe(255);
    for (const name of [short, long]) {
      expect(isDeletedDirName(name)).toBe(true);
      expect(parsePartitionDirName(name)).toBeUndefined();
    }
    expect(isDeletedDirName("orders-3")).toBe(false);
    expect(isDeletedDirName("orders-delete")).toBe(false);
    expect(() => deletedDirName({ topic: "t", partition: 0 }, "../x")).toThrow("not a hex");
  });
});
