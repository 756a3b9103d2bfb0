import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeBrokers } from "../fake-brokers.ts";
import { fakeCli } from "../fake-cli.ts";

let fake: FakeBrokers;

beforeEach(async () => {
  fake = await FakeBrokers.start(3);
});

afterEach(async () => {
  await fake[Symbol.asyncDispose]();
});

describe("partitions elect-preferred", () => {
  const moved = { topic: "orders", partition: 0, leaderId: 1, error: "NONE", errorMessage: "" } as const;
  const kept = { ...moved, partition: 1, leaderId: 2, error: "ELECTION_NOT_NEEDED" } as const;
  const failed = {
    ...moved,
    partition: 2,
    error: "PREFERRED_LEADER_NOT_AVAILABLE",
    errorMessage: "broker 3 is not in sync",
  } as const;

  test("shows the leaders that moved", async () => {
    fake.elections = [moved, kept];
    const { code, stdout, stderr } = await fakeCli(fake, ["partitions", "elect-preferred", "--all"]);
    expect(code).toBe(0);
    expect(stdout).toBe("TOPIC   PARTITION  LEADER\norders          0       1\n");
    expect(stderr).toBe("1 leader moved; 1 partition had the preferred leader already\n");
    expect(fake.changes).toEqual([["electLeaders", {}]]);
  });

  test("ends with 7 when some failed, as JSON holds each", async () => {
    fake.elections = [moved, kept, failed];
    const { code, stdout, stderr } = await fakeCli(fake, [
      "partitions",
      "elect-preferred",
      "--topic",
      "orders",
      "--json",
    ]);
    expect(code).toBe(7);
    expect(JSON.parse(stdout)).toEqual([
      { topic: "orders", partition: 0, leaderId: 1, isChanged: true, error: null },
      { topic: "orders", partition: 1, leaderId: 2, isChanged: false, error: null },
      {
        topic: "orders",
        partition: 2,
        leaderId: 1,
        isChanged: false,
        error: "PREFERRED_LEADER_NOT_AVAILABLE",
      },
    ]);
    expect(stderr).toBe("lograft: orders-2: broker 3 is not in sync\n");
    expect(fake.changes).toEqual([["electLeaders", { topics: ["orders"] }]]);
  });

  test("fails as a whole when all failed", async () => {
    fake.elections = [failed];
    const { code, stderr } = await fakeCli(fake, ["partitions", "elect-preferred", "--topic", "orders"]);
    expect({ code, stderr }).toEqual({ code: 6, stderr: "lograft: orders-2: broker 3 is not in sync\n" });
  });

  test.each([[[]], [["--all", "--topic", "orders"]]])("%j is wrong usage", async (options) => {
    const { code, stderr } = await fakeCli(fake, ["partitions", "elect-preferred", ...options]);
    expect(stderr).toContain("say which: --topic NAME, repeated for more, or --all");
    expect(code).toBe(2);
    expect(fake.changes).toEqual([]);
  });
});
