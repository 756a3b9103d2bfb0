import { afterAll, beforeAll, expect, test } from "vitest";
import { GroupScene } from "../group-scene.ts";
import type { CliRun } from "../harness.ts";

let scene: GroupScene;

beforeAll(async () => {
  scene = await GroupScene.start();
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

function topics(...args: readonly string[]): Promise<CliRun> {
  return scene.cli(["kafka-topics", "--bootstrap-server", scene.address, ...args], { env: {} });
}

test("creates, lists, describes, alters and deletes in Kafka's words", async () => {
  const create = ["--create", "--topic", "made", "--partitions", "2", "--replication-factor", "1"];
  expect((await topics(...create, "--config", "retention.ms=1000")).stdout).toBe("Created topic made.\n");
  const again = await topics(...create);
  expect(again.stderr).toContain("topic made exists");
  expect(again.code).toBe(4);
  expect((await topics(...create, "--if-not-exists")).code).toBe(0);
  expect((await topics("--list")).stdout.split("\n")).toContain("made");
  const described = await topics("--describe", "--topic", "made");
  const [head = "", first] = described.stdout.split("\n");
  expect(head).toMatch(
    /^Topic: made\tTopicId: \S+\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: retention\.ms=1000$/,
  );
  expect(first).toBe("\tTopic: made\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1");
  expect((await topics("--describe", "--topics-with-overrides", "--topic", "ma.*")).stdout).toBe(`${head}\n`);
  expect((await topics("--alter", "--topic", "made", "--partitions", "3")).code).toBe(0);
  const at = await topics("--describe", "--topic", "made", "--at-min-isr-partitions");
  expect(at.stdout.trimEnd().split("\n")).toHaveLength(3);
  expect((await topics("--describe", "--topic", "made", "--under-min-isr-partitions")).stdout).toBe("");
  expect((await topics("--delete", "--topic", "made")).code).toBe(0);
  const gone = await topics("--delete", "--topic", "made");
  expect(gone.stderr).toContain("Topic 'made' does not exist as expected");
  expect(gone.code).toBe(3);
  expect((await topics("--delete", "--topic", "made", "--if-exists")).code).toBe(0);
});

test("--version prints one", async () => {
  const { code, stdout } = await topics("--version");
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  expect(code).toBe(0);
});
