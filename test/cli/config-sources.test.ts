import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { effectiveConfig } from "../../src/cli/commands/config.ts";
import { gatherSettings } from "../../src/cli/config-sources.ts";

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-config-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

test("a flag wins over the environment, that over the file, and the default is left", async () => {
  const configFile = await file("layers.properties", "node.id=1\nnum.partitions=2\nlog.retention.ms=3\n");
  const env = { LOGRAFT_NUM_PARTITIONS: "20", LOGRAFT_LOG_RETENTION_MS: "30", PATH: "/bin" };
  const settings = await gatherSettings({ configFile, set: ["log.retention.ms=300"], env });
  expect([...settings.values()]).toEqual([
    { key: "node.id", value: "1", source: "file", origin: `${configFile}:1` },
    { key: "num.partitions", value: "20", source: "environment", origin: "LOGRAFT_NUM_PARTITIONS" },
    { key: "log.retention.ms", value: "300", source: "flag", origin: "--set log.retention.ms" },
  ]);
});

test("a variable that ends in _FILE names a file with the value, and LOGRAFT_BROKERS is no setting", async () => {
  const secret = await file("secret", "rack-7\n");
  const env = { LOGRAFT_BROKER_RACK_FILE: secret, LOGRAFT_BROKERS: "elsewhere:9092" };
  const settings = await gatherSettings({ configFile: undefined, set: [], env });
  expect([...settings.values()]).toEqual([
    { key: "broker.rack", value: "rack-7", source: "environment", origin: "LOGRAFT_BROKER_RACK_FILE" },
  ]);
});

test("a file that is not there is named with who asked for it", async () => {
  const path = join(directory, "missing.properties");
  await expect(gatherSettings({ configFile: path, set: [], env: {} })).rejects.toThrow(
    `--config: ${path} cannot be read`,
  );
  const env = { LOGRAFT_BROKER_RACK_FILE: path };
  await expect(gatherSettings({ configFile: undefined, set: [], env })).rejects.toThrow(
    "LOGRAFT_BROKER_RACK_FILE:",
  );
});

test("an unknown key comes with file and line and the nearest name", async () => {
  const config = await file("typo.properties", "# a comment\n\nlog.retention.mss=5\nnode.id=x\n");
  const failure = effectiveConfig({ config, set: [] }, {});
  await expect(failure).rejects.toThrow(
    `${config}:3: unknown key "log.retention.mss"; did you mean log.retention.ms?`,
  );
  await expect(failure).rejects.toThrow(`${config}:4: node.id = "x" is not valid`);
});

test("an unknown key of each source is named with that source", async () => {
  const failure = effectiveConfig({ set: ["nod.id=1"] }, { LOGRAFT_NUM_PARTITION: "3" });
  await expect(failure).rejects.toThrow('--set nod.id: unknown key "nod.id"; did you mean node.id?');
  await expect(failure).rejects.toThrow(
    'LOGRAFT_NUM_PARTITION: unknown key "num.partition"; did you mean num.partitions?',
  );
});

test("a key of ZooKeeper gets a hint of its own, in YAML too", async () => {
  const config = await file("zookeeper.yaml", "node:\n  id: 2\nzookeeper:\n  connect: zk1:2181\n");
  await expect(effectiveConfig({ config, set: [] }, {})).rejects.toThrow(
    `${config}:4: unknown key "zookeeper.connect": there is no ZooKeeper here`,
  );
});

test("--data-dir and --node-id are settings, and --set wins over them", async () => {
  const { parsed } = await effectiveConfig({ set: ["node.id=9"], dataDir: "/data", nodeId: "4" }, {});
  expect([parsed.config.nodeId, parsed.config.logDirs]).toEqual([9, ["/data"]]);
});
