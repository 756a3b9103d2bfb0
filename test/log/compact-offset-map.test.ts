import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyHasher } from "../../src/log/compact-key-hash.ts";
import { OffsetMap } from "../../src/log/compact-offset-map.ts";
import { at } from "./engine.ts";

function mapOf(maxBytes: number, maxKeys: number): OffsetMap {
  return new OffsetMap({ maxBytes, maxKeys }, { hasher: new KeyHasher(Buffer.alloc(16, 3)) });
}

test("answers the last offset of every key, as a plain map does, at any load", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 }), { maxLength: 200 }), (keys) => {
      const map = mapOf(1024 * 1024, keys.length);
      const model = new Map<string, number>();
      for (const [offset, key] of keys.entries()) {
        const bytes = Buffer.from(`.${key}.`);
        map.put(bytes, 1, bytes.length - 1, at(offset));
        model.set(key, offset);
      }
      expect(map.count).toBe(model.size);
      for (const [key, offset] of model)
        expect(map.get(Buffer.from(key), 0, Buffer.byteLength(key))).toBe(offset);
      expect(map.get(Buffer.from("absent"), 0, 6)).toBe(-1);
    }),
  );
});

test("takes no more than its budget, and no more than the keys there can be need", () => {
  expect(mapOf(24_000, 1_000_000).sizeBytes).toBe(24_000);
  expect(mapOf(24_000, 1_000_000).capacity).toBe(900);
  expect(mapOf(24_000_000, 900).sizeBytes).toBeLessThan(24_100);
  expect(mapOf(24_000_000, 900).capacity).toBeGreaterThanOrEqual(900);
});

test("full, it still takes new offsets of its keys, and no new key", () => {
  const map = mapOf(16 * 24, 1000);
  for (let key = 0; key < map.capacity; key++) map.put(Buffer.of(key), 0, 1, at(key));
  map.put(Buffer.of(3), 0, 1, at(1000));
  expect(map.get(Buffer.of(3), 0, 1)).toBe(1000);
  expect(() => map.put(Buffer.of(200), 0, 1, at(1))).toThrow("the map of keys is full");
});
