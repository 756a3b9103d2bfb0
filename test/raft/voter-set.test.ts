import fc from "fast-check";
import { expect, test } from "vitest";
import { LograftError } from "../../src/base/errors.ts";
import { decodeVoters, encodeVoters, readVoters, withoutVoter, withVoter } from "../../src/raft/voter-set.ts";
import { replicaId, voterSet } from "./replica.ts";

const someVoters = fc
  .uniqueArray(fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 7 })
  .map((names) =>
    names
      .toSorted((a, b) => (a < b ? -1 : 1))
      .map((name) => ({ id: replicaId(name), endpoint: `${name}:9093` })),
  );

test("a voter set comes back as it was", () => {
  fc.assert(
    fc.property(someVoters, (voters) => {
      expect(decodeVoters(encodeVoters(voters))).toEqual(voters);
    }),
  );
});

test("every truncation of a voter set is refused", () => {
  const bytes = encodeVoters(voterSet("1@a", "2@b", "3@c"));
  for (let size = 0; size < bytes.length; size++) {
    expect(() => decodeVoters(bytes.subarray(0, size)), `${size} bytes`).toThrow(LograftError);
    expect(readVoters(bytes.subarray(0, size)), `${size} bytes`).toBeUndefined();
  }
});

test("flipped bytes of a voter set are refused or give another valid set, and nothing else is thrown", () => {
  const bytes = encodeVoters(voterSet("1@a", "2@b"));
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
      const voters = readVoters(damaged);
      if (voters !== undefined) expect(encodeVoters(voters)).toEqual(damaged);
    }),
  );
});

test("sets that are empty, out of order, with repeats, with a tail or of another version are refused", () => {
  const [one, two] = voterSet("1", "2");
  if (one === undefined || two === undefined) throw new Error("two voters");
  expect(() => decodeVoters(encodeVoters([]))).toThrow("empty");
  expect(() => decodeVoters(encodeVoters([two, one]))).toThrow("not in order");
  expect(() => decodeVoters(encodeVoters([one, one]))).toThrow("names somebody twice");
  expect(() => decodeVoters(Buffer.concat([encodeVoters([one]), Buffer.of(0)]))).toThrow("follow");
  const newer = encodeVoters([one]);
  newer.writeUInt8(1, 0);
  expect(() => decodeVoters(newer)).toThrow("version 1");
});

test("a voter is added in order, replaced under its id, and removed", () => {
  const voters = voterSet("1", "3");
  const moved = { id: replicaId("3"), endpoint: "elsewhere:1" };
  expect(withVoter(voters, { id: replicaId("2"), endpoint: "2:1" })).toEqual(voterSet("1", "2", "3"));
  expect(withVoter(voters, moved)).toEqual([...voterSet("1"), moved]);
  expect(withoutVoter(voters, replicaId("1"))).toEqual(voterSet("3"));
});
