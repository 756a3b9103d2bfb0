import { constants } from "node:http2";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { RPC_CODES, rpcStatus } from "../../../src/rpc/status.ts";
import {
  decodeMessage,
  encodeMessage,
  formatTimeout,
  isGrpcContentType,
  parseStatus,
  parseTimeout,
  statusHeaders,
  statusOfHttp,
  statusOfReset,
} from "../../../src/rpc/stream/grpc-headers.ts";
import { streamWindowBytes } from "../../../src/rpc/stream/http2-limits.ts";

test("content types of gRPC are known from others", () => {
  for (const good of ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"]) {
    expect(isGrpcContentType(good), good).toBe(true);
  }
  for (const bad of ["application/grpc-web", "application/json", "application/grpcx", "", undefined]) {
    expect(isGrpcContentType(bad), bad).toBe(false);
  }
});

describe("grpc-timeout", () => {
  test.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3000],
    ["4m", 4],
    ["5000u", 5],
    ["1n", 1],
    ["0m", 0],
    ["99999999H", 99_999_999 * 3_600_000],
  ])("%s is %d ms", (text, timeoutMs) => {
    expect(parseTimeout(text)).toBe(timeoutMs);
  });

  test.each(["", "1", "m", "123456789m", "-1m", "1.5S", "1 m", " 1m", "1m ", "1x", "0x1m", "1mm", "∞m"])(
    "%j is refused",
    (text) => {
      expect(parseTimeout(text)).toBeUndefined();
    },
  );

  test("what is formatted is parsed as at least as long, and hardly longer", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 3e14, noNaN: true }), (timeoutMs) => {
        const parsed = parseTimeout(formatTimeout(timeoutMs)) ?? -1;
        expect(parsed).toBeGreaterThanOrEqual(timeoutMs);
        expect(parsed).toBeLessThanOrEqual(timeoutMs + Math.max(1, timeoutMs / 1000));
      }),
    );
  });
});

describe("grpc-message", () => {
  test("any text comes back, and travels as printable ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
        const encoded = encodeMessage(text);
        expect(encoded).toMatch(/^[ -~]*$/);
        expect(decodeMessage(encoded)).toBe(Buffer.from(text, "utf8").toString("utf8"));
      }),
    );
  });

  test("escapes are those of the description", () => {
    expect(encodeMessage("50 % of Ä\n")).toBe("50 %25 of %C3%84%0A");
  });

  test("a wrong escape stays as it is", () => {
    expect(decodeMessage("%zz 5% %4")).toBe("%zz 5% %4");
    expect(decodeMessage("%41%")).toBe("A%");
  });

  test("a long text is cut", () => {
    expect(encodeMessage("x".repeat(100_000)).length).toBeLessThan(4096);
  });
});

test("a status survives its headers, details without padding included", () => {
  for (const length of [0, 1, 2, 3, 50]) {
    const status = rpcStatus("ABORTED", "why\r\n", Buffer.alloc(length, 0xfb));
    expect(parseStatus(statusHeaders(status) as Record<string, string>)).toEqual(status);
  }
  expect(statusHeaders(rpcStatus("ABORTED", "", Buffer.alloc(3)))["grpc-status-details-bin"]).not.toContain(
    "=",
  );
});

test("headers without a status have none; a code that does not exist is UNKNOWN", () => {
  expect(parseStatus({})).toBeUndefined();
  for (const bad of ["17", "-1", "x", "", "1e1", "999"]) {
    expect(parseStatus({ "grpc-status": bad })?.code, bad).toBe(RPC_CODES.UNKNOWN);
  }
});

test("HTTP statuses and resets map as the descriptions' tables say", () => {
  const http = [400, 401, 403, 404, 429, 502, 503, 504, 200, 500].map((code) => statusOfHttp(code).code);
  expect(http).toEqual([13, 16, 7, 12, 14, 14, 14, 14, 2, 2]);
  expect(statusOfReset(constants.NGHTTP2_REFUSED_STREAM).code).toBe(RPC_CODES.UNAVAILABLE);
  expect(statusOfReset(constants.NGHTTP2_CANCEL).code).toBe(RPC_CODES.CANCELLED);
  expect(statusOfReset(constants.NGHTTP2_ENHANCE_YOUR_CALM).code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
  expect(statusOfReset(constants.NGHTTP2_INADEQUATE_SECURITY).code).toBe(RPC_CODES.PERMISSION_DENIED);
  for (const code of [0, 1, 2, 3, 4, 6, 9, 10])
    expect(statusOfReset(code).code, `${code}`).toBe(RPC_CODES.INTERNAL);
});

test("windows shrink with the number of streams, within the connection's total, to HTTP/2's default", () => {
  const MiB = 1024 * 1024;
  expect([0, 1, 4, 5, 8, 9, 64].map(streamWindowBytes)).toEqual([
    8 * MiB,
    8 * MiB,
    8 * MiB,
    4 * MiB,
    4 * MiB,
    2 * MiB,
    MiB / 2,
  ]);
  expect(streamWindowBytes(100_000)).toBe(64 * 1024);
});
