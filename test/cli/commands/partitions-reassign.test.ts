import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeBrokers } from "../fake-brokers.ts";
import { expectDone, fakeCli } from "../fake-cli.ts";

let fake: FakeBrokers;
let directory: string;

beforeEach(async () => {
  fake = await FakeBrokers.start(4);
  for (const partition of [0, 1, 2]) fake.setPartition("orders", partition, { replicas: [1, 2, 3] });
  directory = await mkdtemp(join(tmpdir(), "lograft-plan-"));
});

afterEach(async () => {
  await fake[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const reassign = ["partitions", "reassign"];
const toFour = [...reassign, "--topics", "orders", "--brokers", "2,3,4"];
const MOVED = [0, 1, 2].map((partition) => ({
  topic: "orders",
  partition,
  error: "NONE" as const,
  errorMessage: "",
}));

describe("partitions reassign", () => {
  test("shows the plan, lets the cluster check it, and changes nothing", async () => {
    fake.outcomes = MOVED;
    const { code, stdout, stderr } = await fakeCli(fake, toFour);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "nothing was changed; add --execute to begin\n" });
    expect(stdout).toMatchSnapshot();
    expect(fake.changes).toMatchObject([["reassignPartitions", { validateOnly: true }]]);
  });

  test("--execute begins to move, by the plan that was shown", async () => {
    fake.outcomes = MOVED;
    const { code, stderr } = await fakeCli(fake, [...toFour, "--execute"]);
    expect(code).toBe(0);
    expect(stderr).toBe("3 partitions on the way; see: lograft partitions status\n");
    expect(fake.changes).toMatchSnapshot();
  });

  test("a plan that --json printed is carried out from its file", async () => {
    fake.outcomes = MOVED;
    const path = join(directory, "plan.json");
    await writeFile(path, await expectDone(fake, [...toFour, "--json"]));
    await expectDone(fake, [...reassign, "--plan", path, "--execute"]);
    const [[, checked], [, begun]] = fake.changes as unknown as [[string, object], [string, object]];
    expect(begun).toEqual({ ...checked, validateOnly: false });
  });

  test("says so when nothing has to move, and asks for nothing", async () => {
    fake.setPartition("orders", 1, { replicas: [2, 3, 1] });
    fake.setPartition("orders", 2, { replicas: [3, 1, 2] });
    const run = await fakeCli(fake, [...reassign, "--topics", "orders", "--brokers", "1,2,3", "--execute"]);
    expect(run).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "nothing has to move\n",
    });
    expect(fake.changes).toEqual([]);
  });

  test("what is refused is told, and ends with 7", async () => {
    fake.outcomes = MOVED.map((one) => ({
      ...one,
      error: "INVALID_REPLICA_ASSIGNMENT" as const,
      errorMessage: "broker 4 is drained",
    }));
    const { code, stderr } = await fakeCli(fake, [...toFour, "--execute"]);
    expect(code).toBe(7);
    expect(stderr).toContain("lograft: orders-0: broker 4 is drained\n");
    expect(stderr).not.toContain("on the way");
  });

  test.each([
    [[], "say what goes where"],
    [["--topics", "orders"], "say what goes where"],
    [["--plan", "x", "--brokers", "1"], "say what goes where"],
    [["--topics", "orders", "--brokers", "1,x"], "--brokers x: a whole number"],
    [["--topics", "orders", "--brokers", "1,2"], "3 replicas need as many brokers"],
    [["--plan", "/nowhere/plan.json"], "--plan /nowhere/plan.json cannot be read"],
  ])("%j is wrong usage", async (options, message) => {
    const { code, stderr } = await fakeCli(fake, [...reassign, ...options]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(fake.changes).toEqual([]);
  });
});

describe("partitions on their way", () => {
  beforeEach(() => {
    fake.reassignments = [
      {
        topic: "orders",
        partition: 0,
        target: [2, 3, 4],
        addingReplicas: [4],
        removingReplicas: [1],
        isr: [1, 2, 3],
      },
      { topic: "other", partition: 7, target: [1], addingReplicas: [], removingReplicas: [2], isr: [2] },
    ];
    fake.outcomes = [{ topic: "orders", partition: 0, error: "NONE", errorMessage: "" }];
  });

  test("status shows where to, and who is waited for", async () => {
    expect(await expectDone(fake, ["partitions", "status"])).toMatchSnapshot();
    expect(JSON.parse(await expectDone(fake, ["partitions", "status", "--json"]))).toMatchObject([
      { topic: "orders", waitsFor: [4] },
      { topic: "other", waitsFor: [1] },
    ]);
  });

  test("status says when there are none", async () => {
    fake.reassignments = [];
    const { stdout, stderr } = await fakeCli(fake, ["partitions", "status"]);
    expect({ stdout, stderr }).toEqual({ stdout: "", stderr: "no partition is on its way\n" });
  });

  test("cancel calls back those of a topic, or all", async () => {
    const { stderr } = await fakeCli(fake, ["partitions", "cancel", "--topics", "orders"]);
    expect(stderr).toBe("1 partition back\n");
    await expectDone(fake, ["partitions", "cancel", "--all"]);
    expect(fake.changes).toEqual([
      ["cancelReassignments", { partitions: [{ topic: "orders", partition: 0 }] }],
      [
        "cancelReassignments",
        {
          partitions: [
            { topic: "orders", partition: 0 },
            { topic: "other", partition: 7 },
          ],
        },
      ],
    ]);
  });

  test("cancel of nothing asks for nothing, and wants to know what", async () => {
    const none = await fakeCli(fake, ["partitions", "cancel", "--topics", "absent"]);
    expect(none).toMatchObject({ code: 0, stderr: "no partition is on its way\n" });
    const { code, stderr } = await fakeCli(fake, ["partitions", "cancel"]);
    expect(stderr).toContain("say which: --topics NAME..., or --all");
    expect(code).toBe(2);
    expect(fake.changes).toEqual([]);
  });
});
