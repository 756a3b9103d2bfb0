import { expect, test } from "vitest";

import { formatPartitionMetadata, parsePartitionMetadata } from "../../src/log/partition-metadata.ts";
import { corpusFile, corpusPartitions } from "./corpus.ts";
import { expectParserWithstandsDamage } from "./damage.ts";

test("reads Kafka's files and writes them back byte for byte", () => {
  const ids = corpusPartitions.map((partition) => {
    const text = corpusFile(`${partition}/partition.metadata`).toString();
    const id = parsePartitionMetadata(text);
    expect(id === undefined ? undefined : formatPartitionMetadata(id), partition).toBe(text);
    return id;
  });
  expect(new Set(ids).size).toBe(corpusPartitions.length);
});

test("takes a newline at the end, as other writers leave it", () => {
  expect(parsePartitionMetadata("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n")).toBe(
    "AAAAAAAAAAAAAAAAAAAAAQ",
  );
});

test("refuses other versions, cut ids and further lines", () => {
  for (const text of [
    "",
    "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ",
    "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAA",
    "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAB",
    "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n\n",
    "topic_id: AAAAAAAAAAAAAAAAAAAAAQ\nversion: 0",
  ]) {
    expect(parsePartitionMetadata(text), JSON.stringify(text)).toBeUndefined();
  }
});

test("withstands truncation and flipped bytes", () => {
  const bytes = corpusFile("txn-0/partition.metadata");
  expectParserWithstandsDamage(bytes, (content) => {
    const id = parsePartitionMetadata(content.toString("latin1"));
    if (id === undefined) return undefined;
    const end = content.at(-1) === 0x0a ? "\n" : "";
    return Buffer.from(formatPartitionMetadata(id) + end, "latin1");
  });
});
