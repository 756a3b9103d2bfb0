import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LograftClient } from "../../src/client/index.ts";
import { CODECS, type Codec } from "../../src/model/compression.ts";
import { computeBatchCrc } from "../../src/model/record-batch.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { batch, record } from "../model/batches.ts";
import { AbusedBroker, expectRefused } from "./abused-broker.ts";
import type { Calls } from "./calls.ts";
import { expectUnharmed } from "./neighbour.ts";

const MIB = 1024 * 1024;
const TOPIC = "bad-batches";
const BOMBED = "bombed";

let abused: AbusedBroker;
let calls: Calls;
let client: LograftClient;

beforeAll(async () => {
  abused = await AbusedBroker.start();
  ({ calls, client } = abused);
  await client.admin().createTopics([{ name: TOPIC }, { name: BOMBED, partitions: 5 }]);
});

afterAll(() => abused[Symbol.asyncDispose]());

describe("a batch that lies", () => {
  /** A good batch of three records, changed by `change` and given its right checksum again. */
  function lying(change: (bytes: Buffer) => void): Buffer {
    const bytes = batch({ count: 3 });
    change(bytes);
    bytes.writeUInt32BE(computeBatchCrc(bytes), 17);
    return bytes;
  }

  test.each<[string, Buffer, string, RegExp]>([
    ["no bytes at all", Buffer.alloc(0), "INVALID_RECORD", /no batch/],
    ["half a header", batch().subarray(0, 30), "CORRUPT_MESSAGE", /30|bytes/],
    ["a cut end", batch().subarray(0, -1), "CORRUPT_MESSAGE", /bytes|length/],
    ["bytes behind it", Buffer.concat([batch(), Buffer.from("x")]), "INVALID_RECORD", /exactly one/],
    ["two batches", Buffer.concat([batch(), batch()]), "INVALID_RECORD", /exactly one/],
    ["a negative length", lying((b) => b.writeInt32BE(-1, 8)), "CORRUPT_MESSAGE", /length|-1/],
    ["a length of 2 GiB", lying((b) => b.writeInt32BE(0x7fff_ffff, 8)), "MESSAGE_TOO_LARGE", /2147483/],
    ["a length of 5", lying((b) => b.writeInt32BE(5, 8)), "CORRUPT_MESSAGE", /length|5/],
    [
      "a count of two billion",
      lying((b) => b.writeInt32BE(0x7fff_ffff, 57)),
      "CORRUPT_MESSAGE",
      /2147483647/,
    ],
    ["a count of zero", lying((b) => b.writeInt32BE(0, 57)), "INVALID_RECORD", /record count/],
    ["a negative count", lying((b) => b.writeInt32BE(-5, 57)), "CORRUPT_MESSAGE", /-5 records/],
    ["a wrong last delta", lying((b) => b.writeInt32BE(1000, 23)), "INVALID_RECORD", /delta/],
    ["format 1", lying((b) => b.writeInt8(1, 16)), "UNSUPPORTED_FOR_MESSAGE_FORMAT", /magic|format/],
    ["codec 7", lying((b) => b.writeInt16BE(7, 21)), "UNSUPPORTED_COMPRESSION_TYPE", /7/],
    ["the control bit", lying((b) => b.writeInt16BE(0x20, 21)), "INVALID_RECORD", /control/],
    ["the transactional bit", lying((b) => b.writeInt16BE(0x10, 21)), "INVALID_TXN_STATE", /transaction/],
    ["unknown attributes", lying((b) => b.writeInt16BE(0x4000, 21)), "INVALID_RECORD", /attributes/],
    ["a negative time", lying((b) => b.writeBigInt64BE(-5n, 27)), "INVALID_TIMESTAMP", /timestamp/],
    ["a far future", lying((b) => b.writeBigInt64BE(2n ** 52n, 35)), "INVALID_TIMESTAMP", /timestamp/],
    ["a time of 64 bits", lying((b) => b.writeBigInt64BE(2n ** 62n, 35)), "CORRUPT_MESSAGE", /2\^53|64/],
    ["a producer of 64 bits", lying((b) => b.writeBigInt64BE(2n ** 62n, 43)), "CORRUPT_MESSAGE", /2\^53|64/],
    ["an epoch without sequence", lying((b) => b.writeBigInt64BE(7n, 43)), "INVALID_RECORD", /epoch/],
  ])("by %s is refused and says why", async (_what, records, error, text) => {
    expectRefused(await calls.produce({ topic: TOPIC, records }), error, text);
  });

  test("by one flipped bit, wherever it is, is never appended", async () => {
    const random = new SeededRandom(20_260);
    const good = batch({ count: 3 });
    for (let round = 0; round < 200; round++) {
      const bytes = Buffer.from(good);
      // Base offset and leader epoch are the broker's to set and outside the checksum.
      const at = 16 + random.below(bytes.length - 16);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      const { error } = await calls.produce({ topic: TOPIC, records: bytes });
      expect(error, `byte ${at}`).not.toBe("NONE");
    }
  });

  test("a good batch beside a bad one in one request is appended", async () => {
    const bad = batch();
    bad.writeUInt32BE(0, 17);
    const { answers } = await calls.call("ProduceUnary", {
      acks: -1,
      partitions: [
        { topic: TOPIC, leaderEpoch: -1, records: bad },
        { topic: BOMBED, partition: 4, leaderEpoch: -1, records: batch() },
      ],
    });
    expect(answers[0]?.["results"]).toMatchObject([{ errorCode: 2 }, { errorCode: 0, baseOffset: 0 }]);
  });
});

describe("records inside a batch that cannot be read", () => {
  const bombCodecs = CODECS.filter(
    (codec): codec is Exclude<Codec, "none"> => codec !== "none" && codec !== "snappy",
  );

  test.each(bombCodecs.map((codec, partition) => [codec, partition] as const))(
    "a bomb of %s is kept as it came; who reads it is told, and reads on behind it",
    async (codec, partition) => {
      const bomb = bombOf(codec);
      expect(bomb.length).toBeLessThan(MIB);
      expect((await calls.produce({ topic: BOMBED, partition, records: bomb })).error).toBe("NONE");
      const after = batch({ count: 1 });
      expect((await calls.produce({ topic: BOMBED, partition, records: after })).error).toBe("NONE");

      const request = { topic: BOMBED, partitions: [partition], stopAtEnd: true };
      const subscribed = await calls.call("Subscribe", { ...request, beginning: true });
      expect(subscribed.errorName).toBe("MESSAGE_TOO_LARGE");
      expect(subscribed.status.message).toMatch(/inflate|67108864/);
      expect(
        (await calls.call("Subscribe", { ...request, offset: 65 })).answers[0]?.["records"],
      ).toHaveLength(1);

      await using consumer = client.consumer({ assign: [{ topic: BOMBED, partition, from: "beginning" }] });
      await expect(consumer.messages().next()).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    },
  );

  test("compressed noise under a right checksum ends the subscription, not the broker", async () => {
    const noise = batch({ count: 2 });
    new SeededRandom(7).bytes(noise.length - 61).forEach((byte, index) => {
      noise[61 + index] = byte;
    });
    for (const id of [1, 2, 3, 4]) {
      noise.writeInt16BE(id, 21);
      noise.writeUInt32BE(computeBatchCrc(noise), 17);
      const topic = `noise-${id}`;
      await client.admin().createTopics([{ name: topic }]);
      expect((await calls.produce({ topic, records: noise })).error).toBe("NONE");
      const { errorName } = await calls.call("Subscribe", { topic, beginning: true, stopAtEnd: true });
      expect(errorName, topic).toBe("CORRUPT_MESSAGE");
      await using consumer = client.consumer({ topics: [topic] });
      await expect(consumer.messages().next(), topic).rejects.toMatchObject({ code: "CORRUPT_MESSAGE" });
    }
  });

  function bombOf(codec: Codec): Buffer {
    const part = record({ value: Buffer.alloc(MIB) });
    return batch({ codec, records: Array.from({ length: 65 }, () => part), targetBytes: 80 * MIB });
  }
});

test("through all of it the neighbour lost nothing and the broker stayed what it was", async () => {
  await expectUnharmed(abused.neighbour);
});
