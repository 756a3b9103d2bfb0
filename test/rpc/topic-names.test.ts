import fc from "fast-check";
import { expect, test } from "vitest";

import { TopicNames } from "../../src/rpc/topic-names.ts";

test("names come back as they are, however many there are and whatever was cached before", () => {
  const names = new TopicNames(3);
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 300 }), { maxLength: 10 }), (texts) => {
      for (const text of [...texts, ...texts]) {
        const bytes = Buffer.from(text, "utf8");
        const message = Buffer.concat([Buffer.from("xx"), bytes, Buffer.from("y")]);
        expect(names.decode(message, 2, 2 + bytes.length)).toBe(bytes.toString("utf8"));
        expect(names.encode(text)).toEqual(bytes);
      }
    }),
  );
});

test("a name is not tied to the message it was first read from", () => {
  const names = new TopicNames(10);
  const message = Buffer.from("orders");
  expect(names.decode(message, 0, 6)).toBe("orders");
  message.write("ORDERS");
  expect(names.decode(Buffer.from("orders"), 0, 6)).toBe("orders");
  expect(names.decode(message, 0, 6)).toBe("ORDERS");
});

test("the encoded form of a known name is the same bytes each time, shared", () => {
  const names = new TopicNames(10);
  expect(names.encode("orders")).toBe(names.encode("orders"));
});
