import { expect, test } from "vitest";
import { NodeHealth } from "../../../src/server/http/node-health.ts";
import { SimBroker } from "../../broker/sim-broker.ts";

test("a node is ready between the joining of its broker and the first word of a stop", async () => {
  const machine = new SimBroker();
  const health = new NodeHealth();
  expect([health.isStarted, health.isReady]).toEqual([false, false]);
  health.started(await machine.start());
  expect([health.isStarted, health.isReady]).toEqual([true, true]);
  health.stopping();
  // The broker serves on until it has given its roles away; clients should not come to it any more.
  expect(machine.broker.state).toBe("running");
  expect(health.isReady).toBe(false);
  await machine.stop();
  expect(health.isReady).toBe(false);
});
