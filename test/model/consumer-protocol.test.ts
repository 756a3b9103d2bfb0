import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LograftError } from "../../src/base/errors.ts";
import {
  type ConsumerProtocolVersion,
  decodeAssignment,
  decodeCooperativeUserData,
  decodeStickyUserData,
  decodeSubscription,
  encodeAssignment,
  encodeCooperativeUserData,
  encodeStickyUserData,
  encodeSubscription,
  type Subscription,
} from "../../src/model/consumer-protocol.ts";

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function subscription(fields: Partial<Subscription> = {}): Subscription {
  return {
    topics: ["demo"],
    userData: undefined,
    ownedPartitions: [],
    generationId: -1,
    rackId: undefined,
    ...fields,
  };
}

const int32 = fc.integer({ min: -1, max: 0x7fffffff });
const partitions = fc.array(fc.nat(0x7fffffff), { maxLength: 6 });
const topicName = fc.stringMatching(/^[a-z0-9._-]{1,12}$/);
const named = fc.array(fc.record({ topic: topicName, partitions }), { maxLength: 4 });
const userData = fc.option(
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  { nil: undefined },
);
const anySubscription = fc.record({
  topics: fc.array(topicName, { maxLength: 5 }),
  userData,
  ownedPartitions: named,
  generationId: int32,
  rackId: fc.option(fc.string({ maxLength: 10, unit: "grapheme" }), { nil: undefined }),
});

describe("bytes seen from other clients", () => {
  test("librdkafka's subscription of version 1 has an empty user data and owns nothing", () => {
    const bytes = hex("0001 00000001 0004 64656d6f 00000000 00000000");
    expect(decodeSubscription(bytes)).toEqual(subscription({ userData: Buffer.alloc(0) }));
  });

  test("librdkafka's assignment lists partitions 0 and 1", () => {
    const bytes = hex("0000 00000001 0004 64656d6f 00000002 00000000 00000001 00000000");
    const assignment = {
      partitions: [{ topic: "demo", partitions: [0, 1] }],
      userData: Buffer.alloc(0),
    };
    expect(decodeAssignment(bytes)).toEqual(assignment);
    expect(encodeAssignment(assignment)).toEqual(bytes);
  });

  test("kafkajs's subscription is of version 0", () => {
    const bytes = hex("0000 00000001 0003 6b6a73 00000000");
    const expected = subscription({ topics: ["kjs"], userData: Buffer.alloc(0) });
    expect(decodeSubscription(bytes)).toEqual(expected);
    expect(encodeSubscription(expected, 0)).toEqual(bytes);
  });

  test("platformatic's subscription of version 1 has a null user data", () => {
    const bytes = hex("0001 00000001 0003 706c74 ffffffff 00000000");
    expect(decodeSubscription(bytes)).toEqual(subscription({ topics: ["plt"] }));
    expect(encodeSubscription(subscription({ topics: ["plt"] }), 1)).toEqual(bytes);
  });
});

describe("versions", () => {
  test("an unknown higher version reads as the highest known one, whatever follows", () => {
    const full = subscription({ generationId: 7, rackId: "r1" });
    const bytes = Buffer.concat([encodeSubscription(full, 3), hex("01020304")]);
    bytes.writeInt16BE(9, 0);
    expect(decodeSubscription(bytes)).toEqual(full);
  });

  test("fields missing at the end are empty, -1 and null", () => {
    const written = encodeSubscription(subscription(), 0);
    for (const version of [1, 2, 3]) {
      written.writeInt16BE(version, 0);
      expect(decodeSubscription(written), `version ${version}`).toEqual(subscription());
    }
    const withoutUserData = hex("0001 00000001 0004 64656d6f");
    expect(decodeSubscription(withoutUserData)).toEqual(subscription());
  });

  test("a version below 0 is refused", () => {
    expect(() => decodeSubscription(hex("ffff 00000000"))).toThrow("below 0");
    expect(() => decodeAssignment(hex("ffff 00000000"))).toThrow("below 0");
  });

  test("topics are written in ascending order", () => {
    const bytes = encodeSubscription(subscription({ topics: ["b", "a", "c"] }));
    expect(decodeSubscription(bytes).topics).toEqual(["a", "b", "c"]);
  });

  test("no bytes are the assignment of a member that got nothing", () => {
    expect(decodeAssignment(Buffer.alloc(0))).toEqual({ partitions: [], userData: undefined });
  });
});

describe("round trips", () => {
  test("a subscription comes back with the fields of its version", () => {
    const versions = fc.constantFrom<ConsumerProtocolVersion>(0, 1, 2, 3);
    fc.assert(
      fc.property(anySubscription, versions, (value, version) => {
        expect(decodeSubscription(encodeSubscription(value, version))).toEqual({
          topics: value.topics.toSorted(),
          userData: value.userData,
          ownedPartitions: version >= 1 ? value.ownedPartitions : [],
          generationId: version >= 2 ? value.generationId : -1,
          rackId: version >= 3 ? value.rackId : undefined,
        });
      }),
    );
  });

  test("assignments and the user data of the sticky assignors come back", () => {
    fc.assert(
      fc.property(named, userData, int32, (given, data, generationId) => {
        const assignment = { partitions: given, userData: data };
        expect(decodeAssignment(encodeAssignment(assignment))).toEqual(assignment);
        const sticky = { previousAssignment: given, generationId };
        expect(decodeStickyUserData(encodeStickyUserData(sticky))).toEqual(sticky);
        expect(decodeCooperativeUserData(encodeCooperativeUserData(generationId))).toBe(generationId);
      }),
    );
  });

  test("what was decoded shares no memory with the input", () => {
    const bytes = encodeSubscription(subscription({ userData: Buffer.from("keep") }));
    const decoded = decodeSubscription(bytes);
    bytes.fill(0);
    expect(decoded.userData?.toString()).toBe("keep");
  });
});

describe("damage", () => {
  const decoders = { decodeSubscription, decodeAssignment };

  test("any bytes decode or are refused with CORRUPT_MESSAGE", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom(...Object.values(decoders)),
        (bytes, decode) => {
          expectTyped(() => decode(bytes));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("a damaged byte of a good message decodes or is refused with CORRUPT_MESSAGE", () => {
    fc.assert(
      fc.property(anySubscription, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, where, flip) => {
        const bytes = encodeSubscription(value);
        const at = where % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(at) ^ flip, at);
        expectTyped(() => decodeSubscription(bytes));
      }),
    );
  });

  test("every cut inside the topics or the user data is refused", () => {
    const bytes = encodeSubscription(subscription({ userData: Buffer.from("data") }), 0);
    const endOfTopics = 2 + 4 + 2 + 4;
    for (let size = 0; size < bytes.length; size++) {
      if (size === endOfTopics) continue;
      expect(() => decodeSubscription(bytes.subarray(0, size)), `${size} bytes`).toThrow(LograftError);
    }
  });

  test("a count beyond the bytes that are there allocates nothing (H62)", () => {
    expect(() => decodeSubscription(hex("0000 7fffffff 0001 61"))).toThrow("an array of 2147483647 items");
    expect(() => decodeAssignment(hex("0000 00000001 0001 61 7fffffff"))).toThrow(
      "an array of 2147483647 items",
    );
    expect(() => decodeAssignment(hex("0000 ffffffff"))).toThrow("an array of -1 items");
  });

  test("a negative partition is refused", () => {
    expect(() => decodeAssignment(hex("0000 00000001 0001 61 00000001 ffffffff"))).toThrow(
      "-1 is no partition",
    );
  });

  test("user data of a sticky member without a generation are of version 0; unreadable ones are as good as none", () => {
    const previousAssignment = [{ topic: "demo", partitions: [3] }];
    const version0 = encodeStickyUserData({ previousAssignment, generationId: -1 });
    expect(decodeStickyUserData(version0)).toEqual({ previousAssignment, generationId: -1 });
    expect(version0.length).toBe(4 + 6 + 4 + 4);
    expect(decodeStickyUserData(undefined)).toBeUndefined();
    expect(decodeStickyUserData(hex("00000009 00"))).toBeUndefined();
    expect(decodeCooperativeUserData(hex("0000"))).toBe(-1);
    expect(decodeCooperativeUserData(undefined)).toBe(-1);
  });
});

function expectTyped(decode: () => unknown): void {
  try {
    decode();
  } catch (error: unknown) {
    expect(error).toBeInstanceOf(LograftError);
    expect((error as LograftError).code).toBe("CORRUPT_MESSAGE");
    expect((error as LograftError).retriable).toBe(false);
  }
}
