import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ByteBudget } from "../../../src/base/byte-budget.ts";
import { RPC_CODES } from "../../../src/rpc/status.ts";
import {
  chunksByteLength,
  frameMessage,
  MessageDecoder,
  type MessageDecoderOptions,
} from "../../../src/rpc/stream/message-framing.ts";

const LIMITS: MessageDecoderOptions = { maxMessageBytes: 1024 };

function frame(message: Buffer): Buffer {
  return Buffer.concat(frameMessage([message], message.length));
}

function decodeAll(decoder: MessageDecoder, chunks: readonly Buffer[]): Buffer[] {
  const out: Buffer[] = [];
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let message = decoder.next(); message !== undefined; message = decoder.next()) out.push(message);
  }
  return out;
}

function prefix(flag: number, length: number): Buffer {
  const out = Buffer.alloc(5);
  out[0] = flag;
  out.writeUInt32BE(length, 1);
  return out;
}

describe("frames", () => {
  test("come out as they went in, at every split into two chunks", () => {
    const messages = [Buffer.from("hello"), Buffer.alloc(0), Buffer.alloc(300, 9), Buffer.from("x")];
    const stream = Buffer.concat(messages.map(frame));
    for (let split = 0; split <= stream.length; split++) {
      const decoder = new MessageDecoder(LIMITS, () => undefined);
      const out = decodeAll(decoder, [stream.subarray(0, split), stream.subarray(split)]);
      expect(out, `split at ${split}`).toEqual(messages);
      expect(decoder.isInsideMessage).toBe(false);
    }
  });

  test("come out as they went in when every chunk is one byte", () => {
    const messages = [Buffer.from("hello"), Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(20, 1)];
    const stream = Buffer.concat(messages.map(frame));
    const decoder = new MessageDecoder(LIMITS, () => undefined);
    expect(
      decodeAll(
        decoder,
        [...stream].map((byte) => Buffer.from([byte])),
      ),
    ).toEqual(messages);
  });

  test("come out as they went in for any messages and any cuts", () => {
    const message = fc.uint8Array({ maxLength: 700 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(5000)), (messages, cuts) => {
        const stream = Buffer.concat(messages.map((each) => frame(Buffer.from(each))));
        const at = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
        const chunks = at.slice(1).map((end, index) => stream.subarray(at[index] ?? 0, end));
        const decoder = new MessageDecoder(LIMITS, () => undefined);
        expect(decodeAll(decoder, chunks)).toEqual(messages.map((each) => Buffer.from(each)));
      }),
    );
  });

  test("have memory of their own: changing a chunk later does not change a message", () => {
    const stream = frame(Buffer.alloc(100, 1));
    const [message] = decodeAll(new MessageDecoder(LIMITS, () => undefined), [stream]);
    stream.fill(2);
    expect(message).toEqual(Buffer.alloc(100, 1));
  });

  test("know when the stream ends inside one", () => {
    const stream = frame(Buffer.from("hello"));
    for (let length = 0; length <= stream.length; length++) {
      const decoder = new MessageDecoder(LIMITS, () => undefined);
      decodeAll(decoder, [stream.subarray(0, length)]);
      expect(decoder.isInsideMessage, `${length} bytes`).toBe(length !== 0 && length !== stream.length);
    }
  });
});

describe("a prefix is refused", () => {
  test.each([
    ["above the limit", prefix(0, 1025), RPC_CODES.RESOURCE_EXHAUSTED],
    ["that promises 4 GiB", prefix(0, 0xffff_ffff), RPC_CODES.RESOURCE_EXHAUSTED],
    ["of a compressed message", prefix(1, 10), RPC_CODES.UNIMPLEMENTED],
    ["with a flag that does not exist", prefix(2, 10), RPC_CODES.INTERNAL],
  ])("%s, from its five bytes alone, and for good", (_name, bytes, code) => {
    const decoder = new MessageDecoder(LIMITS, () => undefined);
    expect(decodeAll(decoder, [frame(Buffer.from("ok")), bytes])).toEqual([Buffer.from("ok")]);
    expect(decoder.refusal?.code).toBe(code);
    expect(decodeAll(decoder, [frame(Buffer.from("more"))])).toEqual([]);
  });

  test("not at the limit itself", () => {
    const decoder = new MessageDecoder(LIMITS, () => undefined);
    expect(decodeAll(decoder, [frame(Buffer.alloc(1024))])).toHaveLength(1);
  });
});

describe("with a budget", () => {
  test("a message is charged when its memory is taken, and waits when there is none", () => {
    const budget = new ByteBudget(100);
    let wakes = 0;
    const decoder = new MessageDecoder({ maxMessageBytes: 1024, budget }, () => (wakes += 1));
    const stream = Buffer.concat([frame(Buffer.alloc(60, 1)), frame(Buffer.alloc(50, 2))]);
    expect(decodeAll(decoder, [stream]).length).toBe(1);
    expect(budget.usedBytes).toBe(60);
    expect(decoder.isWaiting).toBe(true);
    const rest = decoder.takeRest();
    expect(rest?.length).toBe(50);
    budget.release(60);
    expect(wakes).toBe(1);
    expect(decoder.isWaiting).toBe(false);
    expect(budget.usedBytes).toBe(50);
    expect(decodeAll(decoder, [rest ?? Buffer.alloc(0)])).toEqual([Buffer.alloc(50, 2)]);
    budget.release(50);
    decoder.dispose();
    expect(budget.usedBytes).toBe(0);
  });

  test("what a half-received message was charged is given back when the stream ends", () => {
    for (const received of [5, 6, 30]) {
      const budget = new ByteBudget(100);
      const decoder = new MessageDecoder({ maxMessageBytes: 1024, budget }, () => undefined);
      decodeAll(decoder, [frame(Buffer.alloc(60)).subarray(0, received)]);
      expect(budget.usedBytes).toBe(60);
      decoder.dispose();
      decoder.dispose();
      expect(budget.usedBytes, `${received} bytes`).toBe(0);
    }
  });

  test("a stream that ends while it waits leaves the queue, also when it was just granted", () => {
    const budget = new ByteBudget(100);
    budget.take(100, () => undefined);
    const waiting = new MessageDecoder({ maxMessageBytes: 1024, budget }, () => undefined);
    decodeAll(waiting, [frame(Buffer.alloc(60)).subarray(0, 5)]);
    waiting.dispose();
    expect(budget.waitingCount).toBe(0);
    const granted = new MessageDecoder({ maxMessageBytes: 1024, budget }, () => undefined);
    decodeAll(granted, [frame(Buffer.alloc(60)).subarray(0, 5)]);
    budget.release(100);
    expect(budget.usedBytes).toBe(60);
    granted.dispose();
    expect(budget.usedBytes).toBe(0);
  });
});

test("framed messages keep large chunks as they are and join small ones", () => {
  const large = Buffer.alloc(5000, 1);
  const chunks = [Buffer.from("ab"), Buffer.from("c"), large, Buffer.from("d"), Buffer.from("e")];
  const pieces = frameMessage(chunks, chunksByteLength(chunks));
  expect(pieces).toHaveLength(3);
  expect(pieces[1]).toBe(large);
  expect(Buffer.concat(pieces).subarray(5)).toEqual(Buffer.concat(chunks));
  const largeFirst = frameMessage([large], large.length);
  expect(largeFirst).toHaveLength(2);
  expect(largeFirst[1]).toBe(large);
  expect(frameMessage([], 0)).toEqual([Buffer.alloc(5)]);
});

test("framed messages are the prefix and the chunks for any chunk sizes", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(50), fc.nat(3000)), { maxLength: 12 }), (sizes) => {
      const chunks = sizes.map((size, index) => Buffer.alloc(size, index + 1));
      const whole = Buffer.concat(chunks);
      const framed = Buffer.concat(frameMessage(chunks, whole.length));
      expect(framed.readUInt32BE(1)).toBe(whole.length);
      expect(framed[0]).toBe(0);
      expect(framed.subarray(5).equals(whole)).toBe(true);
    }),
  );
});
