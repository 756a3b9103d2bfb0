import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LograftError } from "../../../src/base/errors.ts";
import { Interruption } from "../../../src/cli/interruption.ts";
import { FakeBrokers } from "../fake-brokers.ts";
import { fakeCli } from "../fake-cli.ts";

let fake: FakeBrokers;

beforeEach(async () => {
  fake = await FakeBrokers.start(3);
});

afterEach(async () => {
  await fake[Symbol.asyncDispose]();
});

describe("cluster health", () => {
  test("ends with 0 when all is well", async () => {
    const { code, stdout } = await fakeCli(fake, ["cluster", "health"]);
    expect(code).toBe(0);
    expect(stdout).toMatchSnapshot();
  });

  test("ends with 8 and names what is wrong, with the next step for each", async () => {
    fake.setBroker(3, { isFenced: true });
    fake.stop(2);
    fake.minInsyncReplicas = 2;
    fake.setPartition("orders", 0, { isr: [1] });
    fake.setPartition("orders", 1, { isr: [1, 2] });
    fake.setPartition("orders", 2, { leaderId: -1, isr: [] });
    fake.setReplica(3, { isActive: false });
    const { code, stdout } = await fakeCli(fake, ["cluster", "health"]);
    expect(code).toBe(8);
    // What the network says of a closed port is not ours.
    expect(stdout.replace(/does not answer: [^)]*/, "does not answer: REASON")).toMatchSnapshot();
  });

  test("JSON has one shape for both", async () => {
    fake.setPartition("orders", 0, { leaderId: -1 });
    const { code, stdout } = await fakeCli(fake, ["cluster", "health", "--json"]);
    expect(code).toBe(8);
    expect(JSON.parse(stdout)).toMatchSnapshot();
  });

  test("asks each broker itself: two states of one offset are found, two offsets are not compared", async () => {
    fake.positions.set(3, { metadataOffset: 118, stateHash: 1 });
    const healthy = await fakeCli(fake, ["cluster", "health"]);
    expect(healthy.stdout).toContain("at offset 118, 120; 2 compared, all equal");
    expect(healthy.code).toBe(0);

    fake.positions.set(3, { metadataOffset: 120, stateHash: 1 });
    const { code, stdout } = await fakeCli(fake, ["cluster", "health"]);
    expect(stdout).toContain("broker 1 (4711 at offset 120), broker 2 (4711 at offset 120), broker 3 (1 at");
    expect(code).toBe(8);
  });

  test("nobody there ends with 6, as everywhere", async () => {
    for (const nodeId of [1, 2, 3]) fake.stop(nodeId);
    const { code, stderr } = await fakeCli(fake, ["cluster", "health", "--timeout", "500ms"]);
    expect(stderr).toContain("is a broker running at");
    expect(code).toBe(6);
  });

  test("a broker that has found no cluster yet is a finding", async () => {
    fake.onLook = () => {
      throw new LograftError("NO_QUORUM", "broker 1 waits for 2 and 3", { retriable: true });
    };
    const { code, stdout } = await fakeCli(fake, ["cluster", "health", "--timeout", "1s"]);
    expect(stdout).toContain("answer  FAILED  broker 1 waits for 2 and 3\n");
    expect(code).toBe(8);
  });

  test("--exit-when-healthy looks until all is well, and prints the last look only", async () => {
    fake.setBroker(2, { isFenced: true });
    let looks = 0;
    fake.onLook = () => {
      looks++;
      if (looks === 5) fake.setBroker(2, { isFenced: false });
    };
    const args = ["cluster", "health", "--exit-when-healthy", "--interval", "50ms"];
    const { code, stdout } = await fakeCli(fake, args);
    expect(code).toBe(0);
    expect(looks).toBeGreaterThan(5);
    expect(stdout.match(/cluster fake-cluster is .*/g)).toEqual(["cluster fake-cluster is healthy"]);
  });

  test("--exit-when-healthy gives up after --within with 8, also when nobody answers", async () => {
    for (const nodeId of [1, 2, 3]) fake.stop(nodeId);
    const waiting = ["cluster", "health", "--exit-when-healthy", "--interval", "50ms", "--within", "300ms"];
    const { code, stdout } = await fakeCli(fake, [...waiting, "--json"]);
    expect(code).toBe(8);
    expect(JSON.parse(stdout)).toMatchObject({
      clusterId: null,
      isHealthy: false,
      checks: [{ name: "answer", isOk: false }],
    });
  });

  test("--watch prints each look as one JSON line until it is interrupted", async () => {
    const controller = new AbortController();
    let looks = 0;
    fake.onLook = () => {
      looks++;
      if (looks === 10) controller.abort(new Interruption("SIGINT"));
    };
    const args = ["cluster", "health", "--watch", "--interval", "50ms", "--json"];
    const { code, stdout } = await fakeCli(fake, args, { signal: controller.signal });
    expect(code).toBe(130);
    const lines = stdout.trimEnd().split("\n");
    // Four descriptions make a look: one of the cluster, then one of each broker.
    expect(lines.map((line) => (JSON.parse(line) as { isHealthy: boolean }).isHealthy)).toEqual([true, true]);
  });
});
