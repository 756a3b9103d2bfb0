import { expect, test } from "vitest";

import { environmentEntries, environmentName, nearestName } from "../../src/model/config-parse.ts";

test("a key and its environment variable name each other", () => {
  expect(environmentName("log.retention.ms")).toBe("LOGRAFT_LOG_RETENTION_MS");
  const { entries, files } = environmentEntries({
    LOGRAFT_LOG_RETENTION_MS: "7d",
    LOGRAFT_CLUSTER_ID_FILE: "/run/secrets/id",
    PATH: "/bin",
    LOGRAFT_NODE_ID: undefined,
  });
  expect([...entries]).toEqual([["log.retention.ms", "7d"]]);
  expect([...files]).toEqual([["cluster.id", "/run/secrets/id"]]);
});

test("the variables that Kubernetes sets for a service named lograft are not configuration", () => {
  const { entries } = environmentEntries({
    LOGRAFT_SERVICE_HOST: "10.0.0.1",
    LOGRAFT_SERVICE_PORT: "9092",
    LOGRAFT_SERVICE_PORT_CLIENT: "9092",
    LOGRAFT_PORT: "tcp://10.0.0.1:9092",
    LOGRAFT_PORT_9092_TCP: "tcp://10.0.0.1:9092",
    LOGRAFT_PORT_9092_TCP_ADDR: "10.0.0.1",
    LOGRAFT_HEADLESS_SERVICE_HOST: "10.0.0.2",
    LOGRAFT_HEADLESS_PORT_9093_TCP_PROTO: "tcp",
  });
  expect([...entries]).toEqual([]);
});

test("a port of ours is a number, and that of a service named lograft-http is an address", () => {
  expect([...environmentEntries({ LOGRAFT_HTTP_PORT: "8080" }).entries]).toEqual([["http.port", "8080"]]);
  expect([...environmentEntries({ LOGRAFT_HTTP_PORT: "tcp://10.0.0.1:8080" }).entries]).toEqual([]);
});

test("a mistyped variable stays, for the parser to refuse", () => {
  expect([...environmentEntries({ LOGRAFT_NODE_IT: "1" }).entries]).toEqual([["node.it", "1"]]);
});

test("the nearest name is the one with the fewest changes, and none when all are far", () => {
  const known = ["log.retention.ms", "log.retention.bytes", "node.id"];
  expect(nearestName("log.retenton.ms", known)).toBe("log.retention.ms");
  expect(nearestName("nodeid", known)).toBe("node.id");
  expect(nearestName("completely.different", known)).toBeUndefined();
  expect(nearestName("x".repeat(100_000), known)).toBeUndefined();
});
