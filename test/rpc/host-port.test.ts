import { expect, test } from "vitest";

import { parseHostPort } from "../../src/rpc/host-port.ts";

test.each([
  ["a:1", { host: "a", port: 1 }],
  ["broker-1.example:65535", { host: "broker-1.example", port: 65_535 }],
  ["127.0.0.1:9093", { host: "127.0.0.1", port: 9093 }],
  ["[::1]:9093", { host: "::1", port: 9093 }],
])("%s is read", (text, parts) => {
  expect(parseHostPort(text)).toEqual(parts);
});

test.each(["", "a", ":1", "a:", "a:0", "a:65536", "a:1x", "::1:9093", "[::1]", "a b:1", "[a:1", "a:1:2"])(
  "%j is none",
  (text) => {
    expect(parseHostPort(text)).toBeUndefined();
  },
);
