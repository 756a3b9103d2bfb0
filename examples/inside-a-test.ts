import assert from "node:assert/strict";
import { test } from "node:test";
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

test("a payment gets the first offset", async () => {
  await using broker = await startBroker(); // a real broker on a free port and a temporary directory
  await using client = new LograftClient({ brokers: [broker.address] });
  await using producer = client.producer();
  const ack = await producer.send("payments", { key: "c-7", value: "12" });
  assert.equal(ack.offset, 0);
});
