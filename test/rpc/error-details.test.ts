import { fileURLToPath } from "node:url";

import { loadSync, parse } from "protobufjs";
import { expect, test } from "vitest";

import { LograftError, operationError } from "../../src/base/errors.ts";
import { ProtocolError } from "../../src/model/error-code.ts";
import {
  decodeErrorDetails,
  encodeErrorDetails,
  errorFromStatus,
  statusFromError,
} from "../../src/rpc/error-details.ts";
import { RPC_CODES, rpcStatus } from "../../src/rpc/status.ts";

const INFO = {
  errorCode: 6,
  errorName: "NOT_LEADER_OR_FOLLOWER",
  retriable: true,
  leaderId: 3,
  context: { topic: "orders", partition: "7" },
};

test("details are a google.rpc.Status holding an ErrorInfo, as protobufjs reads them", () => {
  const google = parse(
    `syntax = "proto3"; package google; message Any { string type_url = 1; bytes value = 2; }
     message Status { int32 code = 1; string message = 2; repeated Any details = 3; }`,
  ).root;
  const bytes = encodeErrorDetails(9, "ask another", INFO);
  const status = google
    .lookupType("google.Status")
    .toObject(google.lookupType("google.Status").decode(bytes));
  expect(status["code"]).toBe(9);
  expect(status["message"]).toBe("ask another");
  const [any] = status["details"] as { typeUrl: string; value: Buffer }[];
  expect(any?.typeUrl).toBe("type.googleapis.com/lograft.v1.ErrorInfo");
  const proto = fileURLToPath(new URL("../../proto/lograft/v1/client.proto", import.meta.url));
  const type = loadSync(proto).lookupType("lograft.v1.ErrorInfo");
  expect(type.toObject(type.decode(any?.value ?? Buffer.alloc(0)), { defaults: true })).toEqual(INFO);
  expect(decodeErrorDetails(bytes)).toEqual(INFO);
});

test("malformed details are no details, at every cut", () => {
  const bytes = encodeErrorDetails(9, "ask another", INFO);
  for (let length = 0; length < bytes.length; length++) {
    const info = decodeErrorDetails(bytes.subarray(0, length));
    expect(info, `${length} bytes`).toBeUndefined();
  }
  expect(decodeErrorDetails(Buffer.from([1, 2, 3]))).toBeUndefined();
});

test("a protocol error comes back with its name, context, leader and retriability", () => {
  const error = new ProtocolError("NOT_LEADER_OR_FOLLOWER", "broker 1 does not lead orders-7", {
    context: { topic: "orders", partition: 7 },
  });
  const status = statusFromError(error, { leaderId: 3 });
  expect(status.code).toBe(RPC_CODES.FAILED_PRECONDITION);
  const back = errorFromStatus(status);
  expect(back).toBeInstanceOf(ProtocolError);
  expect(back).toMatchObject({
    code: "NOT_LEADER_OR_FOLLOWER",
    message: error.message,
    retriable: true,
    context: { topic: "orders", partition: "7", leaderId: 3 },
  });
});

test("an operation error comes back with its code", () => {
  const status = statusFromError(operationError("DISK_FULL", "no room on /data", { retriable: true }));
  expect(status.code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
  expect(errorFromStatus(status)).toMatchObject({ code: "DISK_FULL", retriable: true });
});

test("an error that is not ours tells nothing of its inside", () => {
  const status = statusFromError(new TypeError("cannot read secret of undefined"));
  expect(status.code).toBe(RPC_CODES.INTERNAL);
  expect(status.message).not.toContain("secret");
  expect(errorFromStatus(status).code).toBe("UNKNOWN_SERVER_ERROR");
});

test("a context key from outside cannot reach a prototype", () => {
  const context = JSON.parse(`{"__proto__": "x", "a": "b"}`) as Record<string, string>;
  const info = decodeErrorDetails(encodeErrorDetails(1, "", { ...INFO, context }));
  expect(Object.getPrototypeOf(info?.context)).toBe(Object.prototype);
  expect(Object.keys(info?.context ?? {})).toEqual(["__proto__", "a"]);
});

test.each([
  ["UNAVAILABLE", "CONNECTION_FAILED", true],
  ["DEADLINE_EXCEEDED", "TIMEOUT", true],
  ["CANCELLED", "ABORTED", false],
  ["RESOURCE_EXHAUSTED", "BUFFER_EXHAUSTED", false],
  ["UNIMPLEMENTED", "UNSUPPORTED_VERSION", false],
  ["INTERNAL", "UNKNOWN_SERVER_ERROR", false],
  ["DATA_LOSS", "UNKNOWN_SERVER_ERROR", false],
] as const)("a plain %s is %s", (code, name, retriable) => {
  const error = errorFromStatus(rpcStatus(code, "why"));
  expect(error).toBeInstanceOf(LograftError);
  expect(error).toMatchObject({ code: name, retriable, message: "why" });
});

test("a refused connection can be told from other failures of a connection", () => {
  const status = rpcStatus("UNAVAILABLE", "no connection");
  for (const connection of ["refused", "failed", "lost"] as const) {
    const error = errorFromStatus({ ...status, connection });
    expect(error).toMatchObject({ code: "CONNECTION_FAILED", retriable: true });
    expect(error.context["isRefused"], connection).toBe(connection === "refused" ? true : undefined);
  }
});

test("a cluster without a majority is unavailable, and worth a retry when the thrower says so", () => {
  const error = operationError("NO_QUORUM", "no majority of 1, 2, 3", { retriable: true });
  const status = statusFromError(error);
  expect(status.code).toBe(RPC_CODES.UNAVAILABLE);
  expect(errorFromStatus(status)).toMatchObject({ code: "NO_QUORUM", retriable: true });
});
