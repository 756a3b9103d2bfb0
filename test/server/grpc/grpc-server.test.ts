import { Client, credentials } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import "protobufjs/ext/descriptor/index.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBroker } from "../../../src/testing.ts";
import type { RunningBroker } from "../../../src/testing.ts";

/*
 * A generic gRPC tool knows the reflection protocol and nothing else. This one asks the broker what there is, builds the
 * message types from the descriptors it is given, and calls methods with them. No file of proto/ is read here.
 */
let broker: RunningBroker;
let client: Client;

beforeAll(async () => {
  broker = await startBroker();
  client = new Client(broker.address, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await broker.close();
});

/** The reflection protocol itself (grpc/reflection/v1/reflection.proto of the gRPC project), as far as it is needed. */
const REFLECTION = protobuf.parse(`
  syntax = "proto3";
  package grpc.reflection.v1;
  message ServerReflectionRequest {
    string host = 1;
    oneof message_request { string file_containing_symbol = 4; string list_services = 7; }
  }
  message ServerReflectionResponse {
    FileDescriptorResponse file_descriptor_response = 4;
    ListServiceResponse list_services_response = 6;
    ErrorResponse error_response = 7;
  }
  message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
  message ListServiceResponse { repeated ServiceResponse service = 1; }
  message ServiceResponse { string name = 1; }
  message ErrorResponse { int32 error_code = 1; string error_message = 2; }
`).root;

interface ReflectionAnswer {
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Uint8Array[] };
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
}

async function reflect(request: Record<string, string>): Promise<ReflectionAnswer> {
  const requestType = REFLECTION.lookupType("grpc.reflection.v1.ServerReflectionRequest");
  const responseType = REFLECTION.lookupType("grpc.reflection.v1.ServerReflectionResponse");
  const call = client.makeBidiStreamRequest(
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    (message: Record<string, string>) =>
      Buffer.from(requestType.encode(requestType.create(message)).finish()),
    (bytes: Buffer) => responseType.toObject(responseType.decode(bytes)) as ReflectionAnswer,
    { deadline: Date.now() + 10_000 },
  );
  call.write(request);
  call.end();
  return new Promise((resolve, reject) => {
    call.on("data", resolve);
    call.on("error", reject);
  });
}

async function typesOf(symbol: string): Promise<protobuf.Root> {
  const answer = await reflect({ fileContainingSymbol: symbol });
  const files = answer.fileDescriptorResponse?.fileDescriptorProto ?? [];
  const descriptor = await import("protobufjs/ext/descriptor/index.js");
  const set = descriptor.default.FileDescriptorSet.create({
    file: files.map((bytes) => descriptor.default.FileDescriptorProto.decode(bytes)),
  });
  const fromDescriptor = protobuf.Root as unknown as { fromDescriptor(set: unknown): protobuf.Root };
  return fromDescriptor.fromDescriptor(set);
}

async function callUnary(
  service: string,
  method: string,
  request: Record<string, unknown>,
): Promise<unknown> {
  const types = await typesOf(`lograft.v1.${service}`);
  const declared = types.lookupService(`lograft.v1.${service}`).methods[method];
  if (declared === undefined) throw new Error(`reflection knows no ${service}.${method}`);
  const requestType = types.lookupType(
    `lograft.v1.${declared.requestType}`.replace("lograft.v1..lograft.v1.", "lograft.v1."),
  );
  const responseType = types.lookupType(
    `lograft.v1.${declared.responseType}`.replace("lograft.v1..lograft.v1.", "lograft.v1."),
  );
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `/lograft.v1.${service}/${method}`,
      (message: Record<string, unknown>) =>
        Buffer.from(requestType.encode(requestType.fromObject(message)).finish()),
      (bytes: Buffer) => responseType.toObject(responseType.decode(bytes), { defaults: true, longs: Number }),
      request,
      { deadline: Date.now() + 10_000 },
      (error, answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      },
    );
  });
}

describe("a generic tool, by reflection alone", () => {
  test("lists every service", async () => {
    const answer = await reflect({ listServices: "" });
    expect(answer.listServicesResponse?.service.map(({ name }) => name).toSorted()).toEqual(
      expect.arrayContaining(["lograft.v1.AdminService", "lograft.v1.ClientService"]),
    );
  });

  test("creates a topic, publishes a record, and lists what is there", async () => {
    const created = await callUnary("AdminService", "CreateTopics", {
      topics: [{ name: "reflected", partitions: 2, replicationFactor: 1 }],
    });
    expect(created).toMatchObject({ results: [{ name: "reflected", errorCode: 0 }] });
    const published = await callUnary("ClientService", "PublishUnary", {
      topic: "reflected",
      partition: 1,
      records: [{ value: Buffer.from("hello") }],
    });
    expect(published).toMatchObject({ results: [{ errorCode: 0, partition: 1, offset: 0 }] });
    const listed = await callUnary("AdminService", "ListTopics", {});
    expect(listed).toMatchObject({ topics: [{ name: "reflected", partitions: 2 }] });
  });
});

/** grpc.health.v1, whose request has one string field and whose answer one number. */
const HEALTH_METHOD = "/grpc.health.v1.Health/Check";
const SERVING = Buffer.from([0x08, 0x01]);

describe("the health service", () => {
  test.each(["", "lograft.v1.ClientService", "lograft.v1.AdminService"])(
    "says SERVING for %j",
    async (service) => {
      const request =
        service === ""
          ? Buffer.alloc(0)
          : Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
      const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
        client.makeUnaryRequest(
          HEALTH_METHOD,
          (message: Buffer) => message,
          (bytes: Buffer) => bytes,
          request,
          { deadline: Date.now() + 10_000 },
          (error, bytes) => {
            if (error === null) resolve(bytes);
            else reject(error);
          },
        );
      });
      expect(answer).toEqual(SERVING);
    },
  );
});
