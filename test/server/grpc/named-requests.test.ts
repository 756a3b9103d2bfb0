import { Client, credentials, Metadata, Server, ServerCredentials, type ServiceError } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LograftError } from "../../../src/base/errors.ts";
import { silentLogger, type LogFields } from "../../../src/base/logger.ts";
import { ProtocolError } from "../../../src/model/error-code.ts";
import { errorFromStatus } from "../../../src/rpc/error-details.ts";
import { protoService } from "../../../src/rpc/load-proto.ts";
import { RequestIds } from "../../../src/rpc/request-id.ts";
import { fromGrpcJsStatus } from "../../../src/rpc/stream/grpc-js-metadata.ts";
import { unaryMethod } from "../../../src/rpc/unary-client.ts";
import { withRequestIds } from "../../../src/server/grpc/named-requests.ts";
import { unary } from "../../../src/server/grpc/unary.ts";

const SERVICE = "lograft.v1.AdminService";

let server: Server;
let client: Client;
let failure: Error;
let lines: (readonly [string, LogFields | undefined])[];

beforeEach(async () => {
  lines = [];
  const logger = {
    ...silentLogger,
    error: (message: string, fields?: LogFields) => void lines.push([message, fields]),
  };
  server = new Server();
  const methods = {
    ListTopics: unary(
      () => {
        throw failure;
      },
      { logger },
    ),
  };
  server.addService(protoService(SERVICE), withRequestIds(methods, new RequestIds("broker-x")));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
});

afterEach(() => {
  client.close();
  server.forceShutdown();
});

/** What a client of any kind is told, with the metadata that it sends. */
function call(entries: Readonly<Record<string, string>>): Promise<LograftError> {
  const method = unaryMethod<object, object>(SERVICE, "ListTopics");
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      {},
      metadata,
      { deadline: Date.now() + 10_000 },
      (error: ServiceError | null) => {
        if (error === null) reject(new Error("it was answered"));
        else resolve(errorFromStatus(fromGrpcJsStatus(error)));
      },
    );
  });
}

test("an error carries the id that its call came with", async () => {
  failure = new ProtocolError("NOT_CONTROLLER", "ask broker 2");
  expect((await call({ "x-request-id": "shop-17" })).requestId).toBe("shop-17");
  expect(lines).toEqual([]);
});

test("a call without an id, or with a bad one, gets one of the broker's", async () => {
  failure = new ProtocolError("NOT_CONTROLLER", "ask broker 2");
  expect((await call({})).requestId).toBe("broker-x-1");
  expect((await call({ "x-request-id": "two words" })).requestId).toBe("broker-x-2");
});

test("a bug is logged under the id that its client is told", async () => {
  failure = new TypeError("x is not a function");
  const told = await call({ "x-request-id": "shop-18" });
  expect(told).toMatchObject({ code: "UNKNOWN_SERVER_ERROR", requestId: "shop-18" });
  expect(told.message).toContain("see its log, request shop-18");
  expect(told.message).not.toContain("not a function");
  expect(lines).toEqual([
    [
      "a call failed",
      {
        method: "/lograft.v1.AdminService/ListTopics",
        peer: expect.stringContaining("127.0.0.1:") as string,
        requestId: "shop-18",
        err: failure,
      },
    ],
  ]);
});
