import { expect, test } from "vitest";
import { decodeBody, encodeBody } from "../../src/history/record-body.ts";

const body = { value: "run.3.17", key: "w-0-1", session: 3, sequence: 17, sentAt: 123_456 };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a body comes back as it was, whatever it is padded with", () => {
  expect(decodeBody(encode(encodeBody(body)))).toEqual({ ok: true, body });
  expect(decodeBody(encode(encodeBody(body, "|x|".repeat(40))))).toEqual({ ok: true, body });
});

test("every changed byte is found", () => {
  const bytes = encode(encodeBody(body, "padding"));
  for (let index = 0; index < bytes.length; index++) {
    const damaged = Uint8Array.from(bytes);
    damaged[index] = (damaged[index] ?? 0) ^ 1;
    expect(decodeBody(damaged).ok, `byte ${index}`).toBe(false);
  }
});

test("what is cut off, no text or nothing is refused with the reason", () => {
  const text = encodeBody(body);
  const cut = decodeBody(encode(text.slice(0, -4)));
  expect(cut.ok ? "" : cut.reason).toContain("CRC");
  expect(decodeBody(Uint8Array.of(0xff, 0xfe))).toEqual({ ok: false, reason: "not UTF-8" });
  expect(decodeBody(null)).toEqual({ ok: false, reason: "no value" });
});
