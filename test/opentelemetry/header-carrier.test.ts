import { createTraceState } from "@opentelemetry/api";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  HEADER_GETTER,
  isTraced,
  parseTraceparent,
  w3cHeaders,
} from "../../src/opentelemetry/header-carrier.ts";

const spanContext = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  traceFlags: 1,
};
const TEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("a context is written as W3C says, and read back", () => {
  expect(w3cHeaders(spanContext)).toEqual([{ key: "traceparent", value: TEXT }]);
  expect(parseTraceparent(TEXT)).toEqual({ ...spanContext, isRemote: true });
});

test("the state of a trace goes along", () => {
  const traceState = createTraceState("vendor=value");
  expect(w3cHeaders({ ...spanContext, traceState })[1]).toEqual({ key: "tracestate", value: "vendor=value" });
});

test.each([
  undefined,
  "",
  "garbage",
  TEXT.slice(0, -1),
  TEXT.toUpperCase(),
  TEXT.replace("00-", "ff-"),
  `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
  `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`,
])("%j is no context", (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});

test("a later version with more fields is still read", () => {
  expect(parseTraceparent(TEXT.replace("00-", "01-") + "-more")?.spanId).toBe(spanContext.spanId);
});

test("no text makes the reading throw", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseTraceparent(text);
    }),
  );
});

test("names are compared without case, of repeated headers the last holds, and a null is none", () => {
  const headers = [
    { key: "Traceparent", value: Buffer.from("first") },
    { key: "traceparent", value: Buffer.from("second") },
    { key: "empty", value: null },
  ];
  expect(HEADER_GETTER.get(headers, "traceparent")).toBe("second");
  expect(HEADER_GETTER.get(headers, "empty")).toBeUndefined();
  expect(HEADER_GETTER.keys(headers)).toEqual(["Traceparent", "traceparent", "empty"]);
  expect(isTraced(headers)).toBe(true);
  expect(isTraced(undefined)).toBe(false);
});
