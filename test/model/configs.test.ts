import { describe, expect, test } from "vitest";

import { BROKER_CONFIG_KEYS } from "../../src/model/config-keys.ts";
import type { ConfigEntries } from "../../src/model/config-parse.ts";
import {
  brokerConfigDocs,
  describeBrokerConfig,
  describeTopicConfig,
  effectiveTopicConfig,
  parseBrokerConfig,
  parseTopicConfig,
  topicConfigDocs,
  type ParsedBrokerConfig,
  type TopicOverrides,
} from "../../src/model/configs.ts";
import { TOPIC_CONFIG_KEYS } from "../../src/model/topic-config-keys.ts";

function broker(entries: ConfigEntries = {}): ParsedBrokerConfig {
  const parsed = parseBrokerConfig(entries);
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("\n"));
  return parsed;
}

function overrides(entries: ConfigEntries): TopicOverrides {
  const parsed = parseTopicConfig(entries);
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("\n"));
  return parsed.overrides;
}

/** The messages of the refusal; empty when it was accepted. */
function complaints(entries: ConfigEntries): readonly string[] {
  const parsed = parseBrokerConfig(entries);
  return parsed.ok ? [] : parsed.errors.map(({ message }) => message);
}

describe("the broker's configuration", () => {
  test("is whole without a single entry", () => {
    const { config } = broker();
    expect(config).toMatchObject({
      nodeId: 1,
      rack: undefined,
      listeners: [{ name: "CLIENT", host: "", port: 9092 }],
      logDirs: ["./lograft-data"],
      messageMaxBytes: 1_048_576,
      logSegmentBytes: 1_073_741_824,
      logRetentionBytes: Infinity,
      logIndexIntervalBytes: 4096,
      logFlushPolicy: "ack",
      connectionsMaxIdleMs: 600_000,
      uncleanLeaderElectionEnable: false,
    });
    expect(Object.keys(config).toSorted()).toEqual(Object.keys(BROKER_CONFIG_KEYS).toSorted());
  });

  test("scrubs within 14 days at 8 MiB a second, and not at all with an interval of 0", () => {
    const { config } = broker();
    expect([config.logScrubIntervalMs, config.logScrubBytesPerSecond]).toEqual([14 * 86_400_000, 8_388_608]);
    expect(broker({ "log.scrub.interval.ms": "0" }).config.logScrubIntervalMs).toBe(0);
    expect(complaints({ "log.scrub.bytes.per.second": "0" })).toHaveLength(1);
  });

  test("reads a map and a record alike", () => {
    expect(broker(new Map([["node.id", "7"]])).config.nodeId).toBe(7);
    expect(broker({ "node.id": "7" }).config.nodeId).toBe(7);
  });

  test("a bad value is refused with key, value and what is allowed", () => {
    expect(complaints({ "log.flush.policy": "never" })).toEqual([
      'log.flush.policy = "never" is not valid; allowed: one of ack, interval, os',
    ]);
    expect(complaints({ "node.id": "-1" })[0]).toMatch(
      /^node\.id = "-1" is not valid; allowed: .*0 to 2147483647/,
    );
  });

  test("every error is reported at once, and a very long value is cut", () => {
    const all = complaints({ "node.id": "x".repeat(10_000), "num.partitions": "0", nonsense: "1" });
    expect(all).toHaveLength(3);
    expect(all.join("").length).toBeLessThan(1000);
  });

  test("an unknown key is refused with the nearest known one", () => {
    expect(complaints({ "log.retention.msec": "1" })).toEqual([
      'unknown key "log.retention.msec"; did you mean log.retention.ms?',
    ]);
    expect(complaints({ wibble: "1" })).toEqual(['unknown key "wibble"']);
    expect(complaints({ __proto__x: "1", constructor: "1" })).toHaveLength(2);
  });

  test("keys of a ZooKeeper cluster get their own hint", () => {
    expect(complaints({ "zookeeper.connect": "zk:2181" })[0]).toMatch(/no ZooKeeper here/);
    expect(complaints({ "broker.id": "1" })[0]).toMatch(/node\.id/);
  });

  test("values that contradict one another are refused", () => {
    expect(complaints({ "advertised.listeners": "OTHER://host:1" })[0]).toMatch(
      /OTHER, which is not among listeners/,
    );
    expect(complaints({ "message.max.bytes": "2MiB", "log.segment.bytes": "1MiB" })[0]).toMatch(
      /fits into a segment/,
    );
    expect(complaints({ "advertised.listeners": "CLIENT://host:1" })).toEqual([]);
  });

  test("several directories, too many listeners and two on one port are refused, not ignored", () => {
    expect(complaints({ "log.dirs": "/a,/b" })).toEqual([expect.stringMatching(/log\.dirs has 2 entries/)]);
    expect(complaints({ listeners: "A://:1,B://:2" })).toEqual([]);
    const nine = Array.from("ABCDEFGHI", (name, at) => `${name}://:${at + 1}`).join(",");
    expect(complaints({ listeners: nine })).toEqual([expect.stringMatching(/listeners has 9 entries/)]);
    expect(complaints({ listeners: "PEER://:1" })).toEqual([expect.stringMatching(/has 0 entries/)]);
    expect(complaints({ listeners: "A://:0,B://:0" })).toEqual([]);
    expect(complaints({ listeners: "A://:1,B://:1" })).toEqual([
      expect.stringMatching(/has A and B on port 1/),
    ]);
  });
});

describe("the configuration of a topic", () => {
  test("comes from the broker where the topic says nothing", () => {
    const topic = effectiveTopicConfig(broker({ "message.max.bytes": "2MiB" }).config, {});
    expect(Object.keys(topic).toSorted()).toEqual(Object.keys(TOPIC_CONFIG_KEYS).toSorted());
    expect(Object.values(topic)).not.toContain(undefined);
    expect(topic).toMatchObject({
      maxMessageBytes: 2_097_152,
      retentionMs: 604_800_000,
      segmentMs: 604_800_000,
      compressionType: "producer",
      fileDeleteDelayMs: 60_000,
    });
  });

  test("what the topic sets wins", () => {
    const given = overrides({ "retention.ms": "-1", "flush.policy": "os", "segment.bytes": "1MiB" });
    expect(given).toEqual({ retentionMs: Infinity, flushPolicy: "os", segmentBytes: 1_048_576 });
    expect(effectiveTopicConfig(broker().config, given)).toMatchObject({ ...given, minInsyncReplicas: 0 });
  });

  test.each<readonly [Record<string, string>, number]>([
    [{}, 604_800_000],
    [{ "log.retention.hours": "1" }, 3_600_000],
    [{ "log.retention.hours": "1", "log.retention.minutes": "2" }, 120_000],
    [{ "log.retention.minutes": "2", "log.retention.ms": "5s" }, 5000],
    [{ "log.retention.hours": "-1" }, Infinity],
    [{ "log.retention.hours": "1", "log.retention.ms": "-1" }, Infinity],
  ])("with %j records are kept for %d ms", (entries, expected) => {
    expect(effectiveTopicConfig(broker(entries).config, {}).retentionMs).toBe(expected);
  });

  test("log.roll.ms wins over hours", () => {
    const entries = { "log.roll.ms": "10m", "log.roll.hours": "3" };
    expect(effectiveTopicConfig(broker(entries).config, {}).segmentMs).toBe(600_000);
  });

  test.each<readonly [string, string, RegExp]>([
    [
      "cleanup.policy",
      "squash",
      /cleanup\.policy = "squash" is not valid; allowed: one of delete, compact, compact,delete/,
    ],
    ["compression.type", "zstd", /allowed: only producer/],
    ["retention.msec", "1", /did you mean retention\.ms/],
    ["segment.bytes", "4GiB", /allowed: bytes/],
    ["log.retention.ms", "1", /unknown key/],
  ])("%s = %s is refused", (key, value, message) => {
    const parsed = parseTopicConfig({ [key]: value });
    expect(parsed.ok ? "" : parsed.errors[0]?.message).toMatch(message);
  });
});

describe("what an admin is shown", () => {
  const parsed = broker({ "log.retention.hours": "2", "broker.rack": "zone-a" });

  test("each broker key has its value in the base unit and its source", () => {
    const rows = new Map(describeBrokerConfig(parsed).map((row) => [row.name, row]));
    expect(rows.size).toBe(Object.keys(BROKER_CONFIG_KEYS).length);
    expect(rows.get("log.retention.hours")).toMatchObject({ value: "2", source: "static" });
    expect(rows.get("broker.rack")).toMatchObject({ value: "zone-a", source: "static" });
    expect(rows.get("log.retention.bytes")).toMatchObject({ value: "-1", source: "default" });
    expect(rows.get("log.retention.ms")).toMatchObject({ value: "", source: "default" });
    expect(rows.get("listeners")).toMatchObject({ value: "CLIENT://:9092" });
  });

  test("each topic key says whether topic, broker or default gave its value", () => {
    const rows = new Map(
      describeTopicConfig(parsed, overrides({ "segment.bytes": "1MiB" })).map((row) => [row.name, row]),
    );
    expect(rows.size).toBe(Object.keys(TOPIC_CONFIG_KEYS).length);
    expect(rows.get("segment.bytes")).toMatchObject({ value: "1048576", source: "topic" });
    expect(rows.get("retention.ms")).toMatchObject({ value: "7200000", source: "static" });
    expect(rows.get("flush.policy")).toMatchObject({ value: "ack", source: "default" });
  });
});

describe("the tables of keys", () => {
  const docs = [...brokerConfigDocs(), ...topicConfigDocs()];

  test("every key is documented with kind, bounds and version", () => {
    expect(docs).toHaveLength(
      Object.keys({ ...BROKER_CONFIG_KEYS }).length + Object.keys(TOPIC_CONFIG_KEYS).length,
    );
    for (const row of docs) {
      expect(row.name).toMatch(/^[a-z]+(\.[a-z]+)*$/);
      expect(row.description, row.name).toMatch(/^.{10,}\.$/s);
      expect(row.allowed.length, row.name).toBeGreaterThan(0);
      expect(row.since, row.name).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });

  test("names are unique within a table", () => {
    for (const rows of [brokerConfigDocs(), topicConfigDocs()]) {
      expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
    }
    expect(brokerConfigDocs().find(({ name }) => name === "node.id")?.environment).toBe("LOGRAFT_NODE_ID");
    expect(topicConfigDocs().find(({ name }) => name === "retention.ms")?.default).toBe(
      "log.retention.hours",
    );
  });

  test("every default is valid by its own rule", () => {
    for (const key of Object.values(BROKER_CONFIG_KEYS)) {
      if (key.defaultText !== undefined)
        expect(key.value.schema.safeParse(key.defaultText).success, key.name).toBe(true);
    }
  });
});
