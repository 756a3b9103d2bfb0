import fc from "fast-check";
import { expect, test } from "vitest";
import { LograftError } from "../../src/base/errors.ts";
import { decodeMessage, encodeMessage } from "../../src/quorum/message-codec.ts";
import { message } from "./messages.ts";

const bytesOf = (chunks: readonly Uint8Array[]): Buffer => Buffer.concat(chunks);

/** The code of what decoding throws; undefined when it does not. */
function failureOf(bytes: Uint8Array): string | undefined {
  try {
    decodeMessage(bytes);
    return undefined;
  } catch (error: unknown) {
    if (!(error instanceof LograftError)) throw error;
    return String(error.code);
  }
}

test("every message reads as it was written", () => {
  fc.assert(
    fc.property(message, (sent) => {
      expect(decodeMessage(bytesOf(encodeMessage(sent)))).toEqual(sent);
    }),
    { numRuns: 500 },
  );
});

test("what reads is written as the same bytes, however the message was damaged", () => {
  fc.assert(
    fc.property(message, fc.nat(), fc.nat({ max: 255 }), (sent, where, value) => {
      const bytes = bytesOf(encodeMessage(sent));
      bytes[where % bytes.length] = value;
      const code = failureOf(bytes);
      if (code === undefined) decodeMessage(bytesOf(encodeMessage(decodeMessage(bytes))));
      else expect(code).toBe("CORRUPT_MESSAGE");
    }),
    { numRuns: 2000 },
  );
});

test("every cut message is CORRUPT_MESSAGE, except a snapshot's whose chunk is only shorter", () => {
  fc.assert(
    fc.property(message, (sent) => {
      const bytes = bytesOf(encodeMessage(sent));
      const bodyEnd = sent.type === "SnapshotRequest" ? bytes.length - sent.data.length : bytes.length;
      for (let length = 0; length < bodyEnd; length++) {
        expect(failureOf(bytes.subarray(0, length)), `${sent.type} cut at ${length}`).toBe("CORRUPT_MESSAGE");
      }
    }),
    { numRuns: 100 },
  );
});

test("random bytes throw CORRUPT_MESSAGE and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 12 }), (body, type) => {
      for (const bytes of [body, Uint8Array.of(1, type, ...body)]) {
        expect([undefined, "CORRUPT_MESSAGE"]).toContain(failureOf(bytes));
      }
    }),
    { numRuns: 2000 },
  );
});

test("another version, an unknown type, a negative term and bytes behind the end are refused", () => {
  const good = bytesOf(
    encodeMessage({ type: "TimeoutNowRequest", from: "1@a" as never, to: "2@b" as never, term: 5 }),
  );
  expect(failureOf(good)).toBeUndefined();
  expect(failureOf(Buffer.concat([good, Buffer.of(0)]))).toBe("CORRUPT_MESSAGE");
  for (const [at, value] of [
    [0, 2],
    [1, 12],
    [10, 0x80],
  ] as const) {
    const bad = Buffer.from(good);
    bad[at] = value;
    expect(failureOf(bad), `byte ${at}`).toBe("CORRUPT_MESSAGE");
  }
});
