import fc from "fast-check";
import { expect, test } from "vitest";

import {
  namesCollide,
  parseTopicPartitionKey,
  topicPartitionKey,
  validateTopicName,
} from "../../src/model/topic-partition.ts";

test.each([
  "a",
  "orders",
  "Orders.v1_x-2",
  "...",
  "..a",
  "-",
  "_",
  "0",
  "x".repeat(249),
  "__consumer_offsets",
])("%s is a topic name", (name) => {
  expect(validateTopicName(name)).toEqual({ ok: true });
});

test.each([
  "",
  ".",
  "..",
  "x".repeat(250),
  "a/b",
  "../a",
  "a\0b",
  "a b",
  "ä",
  "a\n",
  "a\\b",
  "a:b",
  "%2e",
  "é",
  "𝕏",
])("%j is no topic name", (name) => {
  expect(validateTopicName(name).ok).toBe(false);
});

test("no accepted name changes directory or needs escaping", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 20 }), (name) => {
      if (validateTopicName(name).ok) expect(name).toMatch(/^(?!\.{1,2}$)[a-zA-Z0-9._-]+$/);
    }),
  );
});

test("a refusal shows nothing unprintable", () => {
  const verdict = validateTopicName("a\u001b[31m\u202eb");
  expect(verdict).toMatchObject({ ok: false });
  if (!verdict.ok) expect(verdict.reason).toMatch(/^[\x20-\x7e]+$/);
});

test("keys are unique and read back, whatever the name ends with", () => {
  for (const [topic, partition] of [
    ["a", 1],
    ["a-1", 0],
    ["a-", 10],
    ["-", 2],
  ] as const) {
    expect(parseTopicPartitionKey(topicPartitionKey(topic, partition))).toEqual({ topic, partition });
  }
  expect(topicPartitionKey("a-1", 0)).not.toBe(topicPartitionKey("a", 10));
});

test("names that differ by '.' and '_' alone collide, equal ones do not", () => {
  expect(namesCollide("a.b_c", "a_b.c")).toBe(true);
  expect(namesCollide("a.b", "a.b")).toBe(false);
  expect(namesCollide("a.b", "a-b")).toBe(false);
});
