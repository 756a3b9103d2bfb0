import fc from "fast-check";
import { expect, test } from "vitest";

import {
  nodeId,
  parseClusterId,
  parseTopicId,
  randomClusterId,
  randomTopicId,
  topicIdFromBytes,
  topicIdToBytes,
  ZERO_TOPIC_ID,
} from "../../src/model/ids.ts";

const uuidBytes = fc.uint8Array({ minLength: 16, maxLength: 16 });

test("16 bytes become 22 characters and come back", () => {
  fc.assert(
    fc.property(uuidBytes, (bytes) => {
      const id = topicIdFromBytes(bytes);
      expect(id).toHaveLength(22);
      expect(parseTopicId(id)).toBe(id);
      expect(Uint8Array.from(topicIdToBytes(id))).toEqual(bytes);
    }),
  );
  expect(topicIdFromBytes(new Uint8Array(16))).toBe(ZERO_TOPIC_ID);
});

test("a new id is a version 4 UUID, does not start with '-', and is never the reserved one", () => {
  fc.assert(
    fc.property(uuidBytes, (random) => {
      const id = randomTopicId(random);
      const bytes = topicIdToBytes(id);
      expect((bytes[6] ?? 0) >>> 4).toBe(4);
      expect((bytes[8] ?? 0) >>> 6).toBe(2);
      expect(id.startsWith("-")).toBe(false);
      expect(id).not.toBe(ZERO_TOPIC_ID);
    }),
  );
});

test("making an id leaves the random bytes as they were", () => {
  const random = new Uint8Array(16).fill(0xff);
  randomClusterId(random);
  expect(random.every((byte) => byte === 0xff)).toBe(true);
});

test.each([
  "",
  "AAAAAAAAAAAAAAAAAAAAA",
  "AAAAAAAAAAAAAAAAAAAAAAA",
  "AAAAAAAAAAAAAAAAAAAAAB",
  "AAAAAAAAAA+AAAAAAAAAAA",
])("%j is no id", (text) => {
  expect(parseTopicId(text)).toBeUndefined();
  expect(parseClusterId(text)).toBeUndefined();
});

test("a node id is a whole number from 0 to 2^31-1", () => {
  expect(nodeId(0)).toBe(0);
  for (const value of [-1, 0.5, 2 ** 31, NaN]) expect(() => nodeId(value)).toThrow(/not a node id/);
});
