import { Client, credentials, type ClientReadableStream } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { startBroker } from "../../../src/testing.ts";

/** grpc.health.v1.HealthCheckResponse with its one field, the status. */
const SERVING = "0801";
const NOT_SERVING = "0802";

test("who watches the health is told SERVING, and NOT_SERVING before the broker goes", async () => {
  await using broker = await startBroker();
  const client = new Client(broker.address, credentials.createInsecure());
  const pass = (bytes: Buffer): Buffer => bytes;
  const watch: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
    "/grpc.health.v1.Health/Watch",
    pass,
    pass,
    Buffer.alloc(0),
    { deadline: Date.now() + 15_000 },
  );
  const seen: string[] = [];
  let closed: Promise<void> | undefined;
  watch.on("data", (bytes: Buffer) => {
    seen.push(bytes.toString("hex"));
    closed ??= broker.close();
  });
  await new Promise((resolve) => watch.on("error", resolve));
  await closed;
  expect(seen).toEqual([SERVING, NOT_SERVING]);
  client.close();
});
