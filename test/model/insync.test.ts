import { expect, test } from "vitest";
import { requiredInSync, usualReplicationFactor } from "../../src/model/insync.ts";

test.each([
  [0, 1, 1],
  [0, 2, 1],
  [0, 3, 2],
  [0, 5, 2],
  [1, 3, 1],
  [2, 3, 2],
  [3, 3, 3],
  [4, 3, 3],
  [2, 1, 1],
])("min.insync.replicas=%i with %i replicas needs %i", (setting, replicas, needed) => {
  expect(requiredInSync(setting, replicas)).toBe(needed);
});

test.each([
  [0, 1, 1],
  [0, 2, 2],
  [0, 3, 3],
  [0, 9, 3],
  [2, 9, 2],
  [5, 3, 5],
])("default.replication.factor=%i with %i brokers gives %i", (setting, brokers, replicas) => {
  expect(usualReplicationFactor(setting, brokers)).toBe(replicas);
});
