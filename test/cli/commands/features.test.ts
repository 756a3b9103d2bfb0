import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ProtocolError } from "../../../src/model/error-code.ts";
import { FakeBrokers } from "../fake-brokers.ts";
import { expectDone, fakeCli } from "../fake-cli.ts";

let fake: FakeBrokers;

beforeEach(async () => {
  fake = await FakeBrokers.start(3);
});

afterEach(async () => {
  await fake[Symbol.asyncDispose]();
});

describe("features", () => {
  test("describe shows levels and what is supported", async () => {
    expect(await expectDone(fake, ["features", "describe"])).toBe(
      [
        "FEATURE           LEVEL  MIN  MAX",
        "metadata.version      1    1    2",
        "raft.version          1    1    1",
        "",
      ].join("\n"),
    );
    expect(JSON.parse(await expectDone(fake, ["features", "describe", "--json"]))).toEqual(fake.features);
  });

  test("upgrade raises what can be raised", async () => {
    const { stderr } = await fakeCli(fake, ["features", "upgrade"]);
    expect(stderr).toBe("metadata.version is at level 2 now\n");
    expect(fake.changes).toEqual([
      ["updateFeature", { name: "metadata.version", level: 2, isDryRun: false }],
    ]);
  });

  test("upgrade of named features as a dry run", async () => {
    const args = ["features", "upgrade", "--feature", "raft.version=2", "--dry-run"];
    expect((await fakeCli(fake, args)).stderr).toBe("raft.version could be at level 2\n");
    expect(fake.changes).toEqual([["updateFeature", { name: "raft.version", level: 2, isDryRun: true }]]);
  });

  test("a level that a broker does not support ends with 4", async () => {
    fake.refusal = new ProtocolError("FEATURE_UPDATE_FAILED", "broker 3 supports raft.version 1 to 1");
    const { code, stderr } = await fakeCli(fake, ["features", "upgrade", "--feature", "raft.version=2"]);
    expect(stderr).toBe("lograft: broker 3 supports raft.version 1 to 1\n");
    expect(code).toBe(4);
  });

  test("nothing to raise is no failure", async () => {
    fake.features = [];
    const { code, stderr } = await fakeCli(fake, ["features", "upgrade"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "every feature is at its highest level already\n" });
  });
});
