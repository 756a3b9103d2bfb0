import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERROR_CODES } from "../../src/model/error-code.ts";
import type { ErrorName } from "../../src/model/error-code.ts";
import { topicIdFromBytes } from "../../src/model/ids.ts";
import type { NodeId } from "../../src/model/ids.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import {
  decodeFollowerFrame,
  decodeLeaderFrame,
  encodeFollowerFrame,
  encodeLeaderFrame,
} from "../../src/replication/replica-frames.ts";
import type { FollowerPart, LeaderPartToSend } from "../../src/replication/replica-frames.ts";

const id = fc.integer({ min: 1, max: 0xffff_ffff });
const offset = fc.maxSafeNat().map((value) => value as Offset);
const epoch = fc.integer({ min: 0, max: 0x7fff_ffff }).map((value) => value as LeaderEpoch);
const anyEpoch = fc.integer({ min: -1, max: 0x7fff_ffff }).map((value) => value as LeaderEpoch);
const bytes = fc.uint8Array({ maxLength: 200 });
const text = fc.string({ unit: "grapheme", maxLength: 50 });
const errorName = fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorName[]));

const followerPart: fc.Arbitrary<FollowerPart> = fc.oneof(
  fc.record({
    type: fc.constant("open" as const),
    nodeId: fc.nat().map((value) => value as NodeId),
    brokerEpoch: fc.maxSafeNat(),
  }),
  fc.record({
    type: fc.constant("follow" as const),
    items: fc.array(
      fc.record({
        id,
        topicId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(topicIdFromBytes),
        partition: fc.nat(),
        leaderEpoch: epoch,
        logEndOffset: offset,
        lastEpoch: anyEpoch,
      }),
    ),
  }),
  fc.record({ type: fc.constant("unfollow" as const), ids: fc.array(id) }),
  fc.record({
    type: fc.constant("progress" as const),
    items: fc.array(fc.record({ id, endOffset: offset })),
  }),
  fc.record({ type: fc.constant("credit" as const), bytes: fc.maxSafeNat() }),
);

const marks = { highWatermark: offset, logStartOffset: offset };
const leaderPart: fc.Arbitrary<LeaderPartToSend> = fc.oneof(
  fc.record({
    type: fc.constant("records" as const),
    id,
    leaderEpoch: epoch,
    ...marks,
    gaps: fc.option(fc.record({ from: offset, below: offset }), { nil: undefined }),
    chunks: fc.array(bytes, { maxLength: 4 }),
  }),
  fc.record({ type: fc.constant("watermarks" as const), items: fc.array(fc.record({ id, ...marks })) }),
  fc.record({ type: fc.constant("diverging" as const), id, epoch: anyEpoch, endOffset: offset }),
  fc.record({ type: fc.constant("reset" as const), id, logStartOffset: offset }),
  fc.record({
    type: fc.constant("refused" as const),
    id,
    error: errorName,
    leaderEpoch: anyEpoch,
    message: text,
  }),
);

/** What the follower should read of a part. */
function arrived(part: LeaderPartToSend): unknown {
  if (part.type !== "records") return part;
  const { chunks, ...rest } = part;
  return { ...rest, batches: Buffer.concat(chunks) };
}

describe("frames", () => {
  test("of a follower are read as they were written", () => {
    fc.assert(
      fc.property(fc.array(followerPart), (parts) => {
        expect(decodeFollowerFrame(encodeFollowerFrame(parts))).toEqual(parts);
      }),
    );
  });

  test("of a leader are read as they were written, batches among other parts", () => {
    fc.assert(
      fc.property(fc.array(leaderPart), (parts) => {
        const frame = Buffer.concat(encodeLeaderFrame(parts));
        expect(decodeLeaderFrame(frame)).toEqual(parts.map(arrived));
      }),
    );
  });

  test("carry the very bytes of the log, and are read as views of what arrived", () => {
    const batch = Buffer.alloc(100, 1);
    const chunks = encodeLeaderFrame([
      {
        type: "records",
        id: 1,
        leaderEpoch: 1 as LeaderEpoch,
        highWatermark: 0 as Offset,
        logStartOffset: 0 as Offset,
        chunks: [batch],
      },
    ]);
    expect(chunks[1]).toBe(batch);
    const frame = Buffer.concat(chunks);
    const [part] = decodeLeaderFrame(frame);
    expect(part?.type === "records" && part.batches.buffer === frame.buffer).toBe(true);
  });

  test("that are cut, changed or made of anything are read or refused as CORRUPT_MESSAGE, nothing else", () => {
    const decode = (frame: Uint8Array): void => {
      for (const read of [decodeFollowerFrame, decodeLeaderFrame]) {
        try {
          read(frame);
        } catch (error: unknown) {
          expect(error).toMatchObject({ code: "CORRUPT_MESSAGE" });
        }
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decode));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (rest) => decode(Buffer.of(1, ...rest))));
    fc.assert(
      fc.property(fc.array(leaderPart, { minLength: 1 }), fc.nat(), fc.nat(255), (parts, at, value) => {
        const frame = Buffer.concat(encodeLeaderFrame(parts));
        decode(frame.subarray(0, at % frame.length));
        frame[at % frame.length] = value;
        decode(frame);
      }),
    );
  });

  test("are refused at each cut inside a part", () => {
    const frame = encodeFollowerFrame([{ type: "progress", items: [{ id: 1, endOffset: 5 as Offset }] }]);
    for (let end = 2; end < frame.length; end++) {
      expect(() => decodeFollowerFrame(frame.subarray(0, end)), `cut at ${end}`).toThrow(
        expect.objectContaining({ code: "CORRUPT_MESSAGE" }),
      );
    }
  });

  test("are refused in another version, with a part of the other side, or with a count that they have no room for", () => {
    const expectRefused = (read: () => unknown): void =>
      expect(read).toThrow(expect.objectContaining({ code: "CORRUPT_MESSAGE" }));
    const credit = encodeFollowerFrame([{ type: "credit", bytes: 1 }]);
    expectRefused(() => decodeLeaderFrame(credit));
    credit[0] = 2;
    expectRefused(() => decodeFollowerFrame(credit));
    expectRefused(() => decodeFollowerFrame(Buffer.of(1, 3, 0xff, 0xff, 0xff, 0xff, 0x0f)));
    expectRefused(() => decodeFollowerFrame(Buffer.of(1, 5, ...Buffer.alloc(8, 0xff))));
  });
});
