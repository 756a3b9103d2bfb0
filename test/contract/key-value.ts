import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { KeyValueOperation, KeyValueRange, KeyValueStore } from "../../src/platform/key-value.ts";

/** Opens the same store each time. */
export interface KeyValueFixture {
  open(): Promise<KeyValueStore>;
  dispose(): Promise<void>;
}

const key = (...values: number[]): Uint8Array => Uint8Array.from(values);
const put = (k: Uint8Array, ...value: number[]): KeyValueOperation => ({
  type: "put",
  key: k,
  value: key(...value),
});
const remove = (k: Uint8Array): KeyValueOperation => ({ type: "delete", key: k });

async function entriesOf(store: KeyValueStore, range: KeyValueRange = {}): Promise<[number[], number[]][]> {
  const entries: [number[], number[]][] = [];
  for await (const [k, v] of store.scan(range)) entries.push([[...k], [...v]]);
  return entries;
}

/** What every key-value store does, real or simulated. */
export function keyValueContract(name: string, create: () => Promise<KeyValueFixture>): void {
  describe(`${name} keeps the key-value contract`, () => {
    let fixture: KeyValueFixture;
    let store: KeyValueStore;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
    });
    afterEach(async () => {
      await store.close();
      await fixture.dispose();
    });

    test("get answers what was put last, and undefined for what is missing or deleted", async () => {
      await store.batch([put(key(1), 1), put(key(2), 2)], { sync: false });
      await store.batch([put(key(1), 9), remove(key(2)), remove(key(77))], { sync: true });
      expect([...((await store.get(key(1))) ?? [])]).toEqual([9]);
      expect(await store.get(key(2))).toBeUndefined();
      expect(await store.get(key(3))).toBeUndefined();
    });

    test("compaction of a range changes nothing that can be read", async () => {
      const keys = Array.from({ length: 64 }, (_, index) => key(1, index));
      await store.batch(
        keys.map((k, index) => put(k, index)),
        { sync: true },
      );
      await store.batch(keys.slice(0, 40).map(remove), { sync: true });
      const before = await entriesOf(store);
      await store.compactRange({ from: key(1, 0), to: key(1, 40) });
      expect(await entriesOf(store)).toEqual(before);
      await store.batch([put(key(1, 3), 7)], { sync: true });
      expect(await entriesOf(store)).toHaveLength(25);
    });

    test("an empty value is a value", async () => {
      await store.batch([put(key(1))], { sync: true });
      expect((await store.get(key(1)))?.byteLength).toBe(0);
    });

    test("a batch applies in order: the last operation on a key wins", async () => {
      await store.batch([put(key(1), 1), remove(key(1)), put(key(1), 2)], { sync: true });
      await store.batch([put(key(2), 1), remove(key(2))], { sync: true });
      expect(await entriesOf(store)).toEqual([[[1], [2]]]);
    });

    test("a scan is in unsigned byte order, from inclusive, to exclusive", async () => {
      const keys = [key(0), key(0, 0), key(0, 255), key(1), key(127), key(128), key(255), key(255, 0)];
      await store.batch(
        keys.toReversed().map((k) => put(k, 7)),
        { sync: true },
      );
      const found = (await entriesOf(store)).map(([k]) => k);
      expect(found).toEqual(keys.map((k) => [...k]));
      const some = (await entriesOf(store, { from: key(0, 0), to: key(128) })).map(([k]) => k);
      expect(some).toEqual([[0, 0], [0, 255], [1], [127]]);
      expect(await entriesOf(store, { from: key(2), to: key(1) })).toEqual([]);
    });

    test("a scan shows the moment of its call, not what is written while it runs", async () => {
      await store.batch([put(key(1), 1), put(key(3), 3)], { sync: false });
      const scan = store.scan({});
      await store.batch([put(key(2), 2), remove(key(3)), put(key(1), 9)], { sync: false });
      const seen: number[][] = [];
      for await (const [k, v] of scan) seen.push([...k, ...v]);
      expect(seen).toEqual([
        [1, 1],
        [3, 3],
      ]);
    });

    test("a scan that is left early does not keep the store from closing", async () => {
      await store.batch([put(key(1), 1), put(key(2), 2)], { sync: false });
      for await (const [k] of store.scan({})) {
        expect([...k]).toEqual([1]);
        break;
      }
      store.scan({});
      await store.close();
    });

    test("overlapping batches are applied in the order of the calls", async () => {
      const writes = Array.from({ length: 50 }, (_, i) =>
        store.batch([put(key(1), i)], { sync: i % 7 === 0 }),
      );
      await Promise.all(writes);
      expect([...((await store.get(key(1))) ?? [])]).toEqual([49]);
    });

    test("what was synced is there after closing and opening again", async () => {
      await store.batch([put(key(1), 1)], { sync: false });
      await store.batch([put(key(2), 2)], { sync: true });
      await store.close();
      store = await fixture.open();
      expect(await entriesOf(store)).toEqual([
        [[1], [1]],
        [[2], [2]],
      ]);
    });

    test("a store is open once: a second open fails with DATA_DIR_LOCKED until it is closed", async () => {
      await expect(fixture.open()).rejects.toMatchObject({ code: "DATA_DIR_LOCKED" });
      await store.close();
      store = await fixture.open();
      expect(await store.get(key(1))).toBeUndefined();
    });

    test("a closed store refuses with CLOSED, and closes twice", async () => {
      await store.close();
      await store.close();
      await expect(store.get(key(1))).rejects.toMatchObject({ code: "CLOSED" });
      await expect(store.batch([put(key(1), 1)], { sync: true })).rejects.toMatchObject({ code: "CLOSED" });
      expect(() => store.scan({})).toThrow(/closed/);
    });

    test("any sequence of batches reads like a plain map", async () => {
      const keys = fc.uint8Array({ minLength: 1, maxLength: 2 }).map((k) => k.map((byte) => byte & 0x83));
      const operation = fc.oneof(
        fc.record({ type: fc.constant("put" as const), key: keys, value: fc.uint8Array({ maxLength: 3 }) }),
        fc.record({ type: fc.constant("delete" as const), key: keys }),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(operation, { maxLength: 8 }), { maxLength: 8 }),
          async (batches) => {
            const model = new Map<string, [number[], number[]]>();
            const old = await entriesOf(store);
            await store.batch(
              old.map(([k]) => remove(key(...k))),
              { sync: false },
            );
            for (const batch of batches) {
              await store.batch(batch, { sync: false });
              for (const op of batch) {
                if (op.type === "delete") model.delete(Buffer.from(op.key).toString("hex"));
                else model.set(Buffer.from(op.key).toString("hex"), [[...op.key], [...op.value]]);
              }
            }
            const expected = [...model.entries()]
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([, entry]) => entry);
            expect(await entriesOf(store)).toEqual(expected);
          },
        ),
        { numRuns: 40 },
      );
    });
  });
}
