import { describe, expect, test } from "vitest";
import { formatOffsetCheckpoint, parseOffsetCheckpoint } from "../../src/log/checkpoint-file.ts";
import type { Offset } from "../../src/model/offsets.ts";
import { topicPartitionKey } from "../../src/model/topic-partition.ts";
import { expectParserWithstandsDamage } from "./damage.ts";

describe("offset checkpoints", () => {
  const offsets = new Map([
    [topicPartitionKey("orders", 1), 12 as Offset],
    [topicPartitionKey("a-b", 0), 0 as Offset],
    [topicPartitionKey("orders", 0), Number.MAX_SAFE_INTEGER as Offset],
  ]);

  test("have Kafka's text form, sorted", () => {
    expect(formatOffsetCheckpoint(offsets)).toBe("0\n3\na-b 0 0\norders 0 9007199254740991\norders 1 12\n");
    expect(formatOffsetCheckpoint(new Map())).toBe("0\n0\n");
  });

  test("parse to what they were made of", () => {
    const parsed = parseOffsetCheckpoint(formatOffsetCheckpoint(offsets));
    expect(parsed).toEqual(offsets);
    expect(parseOffsetCheckpoint("0\n0\n")).toEqual(new Map());
  });

  test("are refused when cut, empty, doubled or impossible (H40)", () => {
    for (const text of [
      "",
      "0\n2\norders 0 1\n",
      "0\n1\norders 0 1",
      "0\n1\norders 0 -1\n",
      "0\n1\norders 01 1\n",
      "0\n1\norders 0 1 2\n",
      "0\n1\nor/ders 0 1\n",
      "0\n2\norders 0 1\norders 0 2\n",
      "1\n1\norders 0 1\n",
    ]) {
      expect(parseOffsetCheckpoint(text), JSON.stringify(text)).toBeUndefined();
    }
  });

  test("withstand truncation and flipped bytes", () => {
    const bytes = Buffer.from("0\n2\na-b 0 17\norders 1 12\n");
    expectParserWithstandsDamage(bytes, (content) => {
      const parsed = parseOffsetCheckpoint(content.toString("latin1"));
      if (parsed === undefined) return undefined;
      // Lines are sorted when written, so a flipped name may move its line: compare sorted.
      const sorted = content.toString("latin1").split("\n");
      const same = formatOffsetCheckpoint(parsed).split("\n").sort().join() === sorted.sort().join();
      return same ? content : Buffer.alloc(0);
    });
  });
});
