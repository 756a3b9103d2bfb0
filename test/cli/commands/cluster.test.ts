import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LograftError } from "../../../src/base/errors.ts";
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

describe("cluster info", () => {
  test("shows id, controller, features and brokers", async () => {
    fake.setBroker(2, { rack: "west", brokerHost: "host-b", isFenced: true });
    fake.setBroker(3, { isShuttingDown: true });
    expect(await expectDone(fake, ["cluster", "info"])).toMatchSnapshot();
  });

  test("says that there is no controller", async () => {
    fake.leaderId = -1;
    expect(await expectDone(fake, ["cluster", "info"])).toContain("controller  none\n");
  });

  test("JSON holds everything, 64-bit values as strings", async () => {
    expect(JSON.parse(await expectDone(fake, ["cluster", "info", "--json"]))).toMatchSnapshot();
  });
});

describe("cluster quorum", () => {
  beforeEach(() => {
    fake.setReplica(2, { logEndOffset: 100, isCaughtUp: false });
    fake.setReplica(3, { isVoter: false, isActive: false, directoryId: "", endpoint: "" });
  });

  test("shows each replica's role, place and lag", async () => {
    expect(await expectDone(fake, ["cluster", "quorum"])).toMatchSnapshot();
  });

  test("JSON holds the same, and what is unknown as null", async () => {
    expect(JSON.parse(await expectDone(fake, ["cluster", "quorum", "--json"]))).toMatchSnapshot();
  });

  test("without a leader nobody's lag is known, and the next step is named", async () => {
    fake.leaderId = -1;
    for (const nodeId of [1, 2, 3]) fake.setReplica(nodeId, { logEndOffset: -1, isActive: false });
    const { code, stdout, stderr } = await fakeCli(fake, ["cluster", "quorum"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^no leader, epoch 7, /);
    expect(stdout).toMatch(/^ +1 +voter +quorum-1 +node-1:9093 +- +- +no +yes$/m);
    expect(stderr).toContain("see: lograft cluster health");
  });
});

test("cluster quorum says when the leader does not answer", async () => {
  for (const nodeId of [1, 2, 3]) fake.setReplica(nodeId, { logEndOffset: -1, isActive: false });
  const { stdout, stderr } = await fakeCli(fake, ["cluster", "quorum"]);
  expect(stdout).toMatch(/^ +2 +voter +quorum-2 +node-2:9093 +- +- +no +yes$/m);
  expect(stderr).toContain("while the leader 1 does not answer nobody knows how far the others are");
});

describe("voters", () => {
  test("add-voter and remove-voter say what they did", async () => {
    const added = await fakeCli(fake, ["cluster", "add-voter", "3"]);
    expect(added).toEqual({
      code: 0,
      stdout: "",
      stderr: "broker 3 is a voter of the metadata quorum now\n",
    });
    await expectDone(fake, ["cluster", "remove-voter", "2"]);
    expect(
      JSON.parse(await expectDone(fake, ["cluster", "remove-voter", "2", "--directory", "old", "--json"])),
    ).toEqual({
      nodeId: 2,
      isVoter: false,
    });
    expect(fake.changes).toEqual([
      ["addVoter", { nodeId: 3 }],
      ["removeVoter", { nodeId: 2 }],
      ["removeVoter", { nodeId: 2, directoryId: "old" }],
    ]);
  });

  test.each([
    ["add-voter", new ProtocolError("DUPLICATE_VOTER", "broker 3 is a voter already"), 4],
    ["add-voter", new ProtocolError("INVALID_VOTER_KEY", "broker 3 follows no metadata log"), 4],
    ["add-voter", new ProtocolError("INVALID_VOTER_KEY", "broker 3 is behind", { retriable: true }), 6],
    ["remove-voter", new ProtocolError("VOTER_NOT_FOUND", "broker 3 is no voter"), 3],
    ["remove-voter", new LograftError("NO_QUORUM", "no controller among 1, 2, 3", { retriable: true }), 6],
  ])("%s: the broker's text %o is shown, the exit code is %i", async (command, refusal, expected) => {
    fake.refusal = refusal;
    const { code, stdout, stderr } = await fakeCli(fake, ["cluster", command, "3"]);
    expect(stderr).toContain(`lograft: ${refusal.message}`);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
  });

  test("without a controller the health check is named as the next step", async () => {
    fake.refusal = new LograftError("NO_QUORUM", "no controller", { retriable: true });
    const { stderr } = await fakeCli(fake, ["cluster", "add-voter", "3"]);
    expect(stderr).toContain("see who is missing with: lograft cluster health");
  });
});
