import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LograftError } from "../../../src/base/errors.ts";
import { groupRecordCodec } from "../../../src/coordinator/group/group-record-codec.ts";
import type { GroupRecord } from "../../../src/coordinator/group/group-records.ts";
import type { CoordinatorRecord } from "../../../src/coordinator/shard.ts";
import { topicIdFromBytes } from "../../../src/model/ids.ts";

const encode = (record: GroupRecord): CoordinatorRecord => groupRecordCodec.encode(record);
const decode = (record: CoordinatorRecord): GroupRecord | undefined => groupRecordCodec.decode(record);

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const nullableText = fc.option(text);
const int32 = fc.integer({ min: -1, max: 0x7fff_ffff });
const int64 = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER });
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const topics = fc.array(
  fc.record({
    topicId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(topicIdFromBytes),
    partitions: fc.array(fc.nat({ max: 100_000 }), { maxLength: 6 }),
  }),
  { maxLength: 4 },
);

const groupRecord: fc.Arbitrary<GroupRecord> = fc.oneof(
  fc.record({
    type: fc.constant("offset" as const),
    groupId: text,
    topic: text,
    partition: int32,
    value: fc.option(
      fc.record({
        offset: int64,
        leaderEpoch: int32,
        metadata: text,
        commitTimestampMs: int64,
        topicId: fc.option(
          fc.uint8Array({ minLength: 16, maxLength: 16 }).map((id) => topicIdFromBytes(id)),
          { nil: undefined },
        ),
      }),
    ),
  }),
  fc.record({
    type: fc.constant("classicGroup" as const),
    groupId: text,
    value: fc.option(
      fc.record({
        protocolType: text,
        generation: int32,
        protocol: nullableText,
        leader: nullableText,
        currentStateTimestampMs: int64,
        members: fc.array(
          fc.record({
            memberId: text,
            groupInstanceId: nullableText,
            clientId: text,
            clientHost: text,
            rebalanceTimeoutMs: int32,
            sessionTimeoutMs: int32,
            subscription: bytes,
            assignment: bytes,
          }),
          { maxLength: 3 },
        ),
      }),
    ),
  }),
  fc.record({
    type: fc.constant("consumerGroup" as const),
    groupId: text,
    value: fc.option(fc.record({ epoch: int32 })),
  }),
  fc.record({
    type: fc.constant("targetEpoch" as const),
    groupId: text,
    value: fc.option(fc.record({ assignmentEpoch: int32 })),
  }),
  fc.record({
    type: fc.constant("member" as const),
    groupId: text,
    memberId: text,
    value: fc.option(
      fc.record({
        instanceId: nullableText,
        rackId: nullableText,
        clientId: text,
        clientHost: text,
        subscribedTopicNames: fc.array(text, { maxLength: 4 }),
        subscribedTopicRegex: text,
        rebalanceTimeoutMs: int32,
        serverAssignor: text,
      }),
    ),
  }),
  fc.record({
    type: fc.constant("targetMember" as const),
    groupId: text,
    memberId: text,
    value: fc.option(fc.record({ partitions: topics })),
  }),
  fc.record({
    type: fc.constant("currentMember" as const),
    groupId: text,
    memberId: text,
    value: fc.option(
      fc.record({
        memberEpoch: int32,
        previousMemberEpoch: int32,
        state: fc.constantFrom("stable" as const, "unrevoked" as const, "unreleased" as const),
        assigned: topics,
        pendingRevocation: topics,
      }),
    ),
  }),
);

const OFFSET = {
  type: "offset",
  groupId: "g",
  topic: "t",
  partition: 7,
  value: {
    offset: 42,
    leaderEpoch: 5,
    metadata: "m",
    commitTimestampMs: 1_700_000_000_000,
    topicId: topicIdFromBytes(Buffer.alloc(16, 0xab)),
  },
} as const satisfies GroupRecord;

const CLASSIC = {
  type: "classicGroup",
  groupId: "gr",
  value: {
    protocolType: "consumer",
    generation: 3,
    protocol: "range",
    leader: "m1",
    currentStateTimestampMs: 1_700_000_000_000,
    members: [
      {
        memberId: "m1",
        groupInstanceId: null,
        clientId: "c",
        clientHost: "/h",
        rebalanceTimeoutMs: 60_000,
        sessionTimeoutMs: 10_000,
        subscription: Buffer.from([1, 2]),
        assignment: Buffer.from([3]),
      },
    ],
  },
} as const satisfies GroupRecord;

function hex(text_: string): Buffer {
  return Buffer.from(text_.replaceAll(/\s/g, ""), "hex");
}

function shown({ key, value }: CoordinatorRecord): { key: string; value: string | undefined } {
  return { key: key.toString("hex"), value: value?.toString("hex") };
}

function isLograftError(error: unknown): error is LograftError {
  return error instanceof LograftError;
}

function caught(action: () => unknown): LograftError {
  try {
    action();
  } catch (error: unknown) {
    if (isLograftError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("round trip", () => {
  test("every record reads as it was written", () => {
    fc.assert(
      fc.property(groupRecord, (record) => {
        expect(decode(encode(record))).toEqual(record);
      }),
    );
  });

  test("what was read shares no memory with the bytes it was read from", () => {
    const { key, value } = encode(CLASSIC);
    const record = decode({ key, value });
    value?.fill(0xff);
    key.fill(0xff);
    expect(record).toEqual(CLASSIC);
  });
});

describe("the bytes", () => {
  test("an offset is Kafka's key 1 with value version 4", () => {
    expect(shown(encode(OFFSET))).toEqual({
      key: "0001" + "000167" + "000174" + "00000007",
      value: `0004000000000000002a00000005026d0000018bcfe56800010010${"ab".repeat(16)}`,
    });
  });

  test("a classic group is Kafka's key 2 with value version 3", () => {
    const member = "00026d31" + "ffff" + "000163" + "00022f68" + "0000ea60" + "00002710";
    expect(shown(encode(CLASSIC))).toEqual({
      key: "0002" + "00026772",
      value:
        "0003" +
        "0008636f6e73756d6572" +
        "00000003" +
        "000572616e6765" +
        "00026d31" +
        "0000018bcfe56800" +
        "00000001" +
        member +
        "00000002" +
        "0102" +
        "00000001" +
        "03",
    });
  });

  test("records of consumer groups have Kafka's key numbers and versions that Kafka's values never have", () => {
    const topicId = topicIdFromBytes(Buffer.alloc(16, 0xab));
    const id = "ab".repeat(16);
    const partitions = [{ topicId, partitions: [1, 300] }];
    const records: readonly GroupRecord[] = [
      { type: "consumerGroup", groupId: "g", value: { epoch: 9 } },
      { type: "targetEpoch", groupId: "g", value: { assignmentEpoch: 8 } },
      { type: "targetMember", groupId: "g", memberId: "m", value: { partitions } },
      {
        type: "currentMember",
        groupId: "g",
        memberId: "m",
        value: {
          memberEpoch: 2,
          previousMemberEpoch: 1,
          state: "unreleased",
          assigned: partitions,
          pendingRevocation: [],
        },
      },
      {
        type: "member",
        groupId: "g",
        memberId: "m",
        value: {
          instanceId: null,
          rackId: "r",
          clientId: "c",
          clientHost: "h",
          rebalanceTimeoutMs: 256,
          subscribedTopicNames: ["a", "b"],
          subscribedTopicRegex: "",
          serverAssignor: "u",
        },
      },
    ];
    expect(records.map((record) => shown(encode(record)))).toEqual([
      { key: "0003000167", value: "006400000009" },
      { key: "0006000167", value: "006400000008" },
      { key: "000700016700016d", value: `006401${id}0201ac02` },
      { key: "000800016700016d", value: `0064000000020000000102${"01"}${id}0201ac0200` },
      {
        key: "000500016700016d",
        value: "0064" + "00" + "0272" + "0163" + "0168" + "00000100" + "0201610162" + "00" + "0175",
      },
    ]);
  });

  test("a tombstone has a key and no value", () => {
    expect(encode({ ...OFFSET, value: null }).value).toBeNull();
    expect(decode({ ...encode(CLASSIC), value: null })).toEqual({ ...CLASSIC, value: null });
  });
});

describe("older versions", () => {
  test("offsets of version 3 know no topic id, nor must those of version 4, whose other tags are left alone", () => {
    const { key } = encode(OFFSET);
    const unknown = { ...OFFSET, value: { ...OFFSET.value, topicId: undefined } };
    const fields = "000000000000002a 00000005";
    expect(decode({ key, value: hex(`0003 ${fields} 00016d 0000018bcfe56800`) })).toEqual(unknown);
    expect(decode({ key, value: hex(`0004 ${fields} 026d 0000018bcfe56800 00`) })).toEqual(unknown);
    const id = "ab".repeat(16);
    const tagged = hex(`0004 ${fields} 026d 0000018bcfe56800 02 0010${id} 07020102`);
    expect(decode({ key, value: tagged })).toEqual(OFFSET);
  });

  test("offsets of versions 0 to 2 have no leader epoch, and their expiry time is not used", () => {
    const key = hex("0000 000167 000174 00000007");
    const fields = "000000000000002a 00016d 0000018bcfe56800";
    const old = { ...OFFSET, value: { ...OFFSET.value, leaderEpoch: -1, topicId: undefined } };
    expect(decode({ key, value: hex(`0000 ${fields}`) })).toEqual(old);
    // The greatest 64-bit number: no reader of exact numbers could take it.
    expect(decode({ key, value: hex(`0001 ${fields} 7fffffffffffffff`) })).toEqual(old);
    expect(decode({ key, value: hex(`0002 ${fields}`) })).toEqual(old);
  });

  test("classic groups gained the rebalance timeout, the time of their state, and instance ids", () => {
    const key = hex("0002 00026772");
    const head = "0008636f6e73756d6572 00000003 000572616e6765 00026d31";
    const tail = "00000002 0102 00000001 03";
    const names = "000163 00022f68";
    const [member] = CLASSIC.value.members;
    const version0 = {
      ...CLASSIC,
      value: {
        ...CLASSIC.value,
        currentStateTimestampMs: -1,
        members: [{ ...member, rebalanceTimeoutMs: 10_000 }],
      },
    };
    expect(decode({ key, value: hex(`0000 ${head} 00000001 00026d31 ${names} 00002710 ${tail}`) })).toEqual(
      version0,
    );
    const timed = `00026d31 ${names} 0000ea60 00002710 ${tail}`;
    expect(decode({ key, value: hex(`0001 ${head} 00000001 ${timed}`) })).toEqual({
      ...CLASSIC,
      value: { ...CLASSIC.value, currentStateTimestampMs: -1 },
    });
    expect(decode({ key, value: hex(`0002 ${head} 0000018bcfe56800 00000001 ${timed}`) })).toEqual(CLASSIC);
  });

  test("keys of an unknown version are left alone", () => {
    for (const version of ["0004", "0009", "0010", "7fff", "ffff"]) {
      expect(decode({ key: hex(`${version} 000167`), value: hex("0000 01") }), version).toBeUndefined();
    }
  });

  test("a value of an unknown version stops the reader", () => {
    const { key } = encode(OFFSET);
    expect(caught(() => decode({ key, value: hex("0005 00") }))).toMatchObject({
      code: "LOG_CORRUPT",
      context: { part: "value", field: "version" },
    });
    // Kafka's own value of a group epoch.
    const epochKey = hex("0003 000167");
    expect(caught(() => decode({ key: epochKey, value: hex("0000 00000001 00") })).code).toBe("LOG_CORRUPT");
  });
});

describe("damage", () => {
  test("every truncation of a record is refused, and names a field", () => {
    fc.assert(
      fc.property(groupRecord, fc.nat(), fc.boolean(), (record, cut, isKey) => {
        const { key, value } = encode(record);
        const part = isKey || value === null ? key : value;
        const short = part.subarray(0, cut % part.length);
        const damaged = part === key ? { key: short, value } : { key, value: short };
        const error = caught(() => decode(damaged));
        expect(error.code).toBe("LOG_CORRUPT");
        expect(error.context["field"]).toEqual(expect.any(String));
      }),
    );
  });

  test("bytes after the last field are refused", () => {
    const { key, value } = encode(OFFSET);
    const longer = Buffer.concat([value ?? Buffer.alloc(0), Buffer.from([0])]);
    expect(caught(() => decode({ key, value: longer }))).toMatchObject({
      code: "LOG_CORRUPT",
      context: { part: "value", field: "end" },
    });
    expect(caught(() => decode({ key: Buffer.concat([key, key]), value })).context).toMatchObject({
      part: "key",
    });
    expect(caught(() => decode({ key: Buffer.concat([key, key]), value: null })).context).toMatchObject({
      part: "key",
    });
  });

  test("a damaged field is named", () => {
    const { key } = encode(OFFSET);
    const cases: readonly (readonly [value: string, field: string])[] = [
      ["0003 7fffffffffffffff 00000005 00016d 0000018bcfe56800", "offset"],
      ["0003 000000000000002a 00000005 ffff 0000018bcfe56800", "metadata"],
      ["0003 000000000000002a 00000005 0001ff 0000018bcfe56800", "metadata"],
      ["0003 000000000000002a 00000005 00016d 0000", "commit timestamp"],
    ];
    for (const [value, field] of cases) {
      const error = caught(() => decode({ key, value: hex(value) }));
      expect(error.context, value).toEqual({ part: "value", field });
      expect(error.message, value).toContain(field);
    }
    const currentKey = hex("0008 000167 00016d");
    const wrongState = hex("0064 00000002 00000001 03 00 00");
    expect(caught(() => decode({ key: currentKey, value: wrongState })).context["field"]).toBe(
      "member state",
    );
    const negativeList = hex("0003 0001 63 00000003 ffff ffff 0000018bcfe56800 ffffffff");
    expect(caught(() => decode({ key: hex("0002 000167"), value: negativeList })).context["field"]).toBe(
      "members",
    );
  });

  test("no bytes do anything worse than LOG_CORRUPT", () => {
    const anyKey = fc
      .tuple(fc.integer({ min: 0, max: 9 }), fc.uint8Array({ maxLength: 30 }))
      .map(([version, rest]) => Buffer.from([0, version, ...rest]));
    fc.assert(
      fc.property(
        groupRecord,
        anyKey,
        bytes,
        fc.nat(),
        fc.nat({ max: 255 }),
        (record, noise, more, at, to) => {
          const { key, value } = encode(record);
          const flipped = Buffer.from(value ?? more);
          if (flipped.length > 0) flipped[at % flipped.length] = to;
          for (const damaged of [
            { key: noise, value: more },
            { key, value: more },
            { key, value: flipped },
          ]) {
            try {
              decode(damaged);
            } catch (error: unknown) {
              expect(error).toMatchObject({ code: "LOG_CORRUPT" });
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
