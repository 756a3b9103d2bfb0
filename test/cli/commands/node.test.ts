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

describe("node", () => {
  test("list shows where each broker is and whether it serves", async () => {
    fake.setBroker(2, { isFenced: true });
    expect(await expectDone(fake, ["node", "list"])).toMatchSnapshot();
    const listed = JSON.parse(await expectDone(fake, ["node", "list", "--json"])) as {
      nodeId: number;
      rack: unknown;
    }[];
    expect(listed.map(({ nodeId, rack }) => [nodeId, rack])).toEqual([
      [1, null],
      [2, null],
      [3, null],
    ]);
  });

  test("describe shows a broker with its partitions and its own place in the metadata log", async () => {
    fake.setPartition("orders", 2, { isr: [3, 1] });
    fake.positions.set(2, { metadataOffset: 119, stateHash: 42 });
    expect(await expectDone(fake, ["node", "describe", "2"])).toMatchSnapshot();
    expect(JSON.parse(await expectDone(fake, ["node", "describe", "2", "--json"]))).toMatchObject({
      nodeId: 2,
      isController: false,
      leaders: 1,
      replicas: 3,
      outOfSync: 1,
      metadataOffset: "119",
      stateHash: "42",
      unreachable: null,
    });
  });

  test("describe of a broker that does not answer says so and shows the rest", async () => {
    fake.stop(2);
    expect(await expectDone(fake, ["node", "describe", "2"])).toMatch(/^metadata +unknown: ./m);
  });

  test("describe of an unknown broker ends with 3 and names the known ones", async () => {
    const { code, stderr } = await fakeCli(fake, ["node", "describe", "9"]);
    expect(stderr).toContain("broker 9 is not registered; registered: 1, 2, 3; see: lograft node list");
    expect(code).toBe(3);
  });

  test("log-level shows the levels of every broker that serves, or of one", async () => {
    fake.setBroker(3, { isFenced: true });
    const all = JSON.parse(await expectDone(fake, ["node", "log-level", "--json"])) as {
      nodeId: number;
      component: string;
      level: string;
    }[];
    expect([...new Set(all.map(({ nodeId }) => nodeId))]).toEqual([1, 2]);
    expect(all).toContainEqual({ nodeId: 2, component: "raft", level: "debug", configured: "debug" });
    expect(await expectDone(fake, ["node", "log-level", "--node", "2"])).toMatchSnapshot();
    expect(fake.logLines).toEqual([]);
  });

  test("log-level changes them, says for how long, and leaves a line in the broker's log", async () => {
    const change = ["node", "log-level", "--node", "2", "all=warn", "raft=default"];
    const { code, stdout, stderr } = await fakeCli(fake, [...change, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toContainEqual({
      nodeId: 2,
      component: "peer",
      level: "warn",
      configured: "info",
    });
    expect(JSON.parse(stdout)).toContainEqual({
      nodeId: 2,
      component: "raft",
      level: "debug",
      configured: "debug",
    });
    expect(stderr).toContain("holds until a broker's next start");
    expect(fake.logLines).toEqual([
      [
        "log levels were changed, until the next start",
        expect.objectContaining({ nodeId: 2, changed: { all: "warn", raft: "default" } }),
      ],
    ]);
  });

  test("log-level tells of a broker that does not answer, and of the others all the same", async () => {
    fake.stop(2);
    const { code, stdout, stderr } = await fakeCli(fake, ["node", "log-level", "all=warn", "--json"]);
    expect(code).toBe(7);
    expect(stderr).toContain("broker 2 was not reached: ");
    const nodes = (JSON.parse(stdout) as { nodeId: number }[]).map(({ nodeId }) => nodeId);
    expect([...new Set(nodes)]).toEqual([1, 3]);
  });

  test.each([
    [["raft"], 2, "write component=level"],
    [["raft=loud"], 2, "write component=level"],
    [["rafts=debug"], 2, "did you mean raft?"],
    [["raft=debug", "--node", "9"], 3, "broker 9 is not registered"],
  ])("log-level %j ends with %i", async (args, expected, message) => {
    const { code, stderr } = await fakeCli(fake, ["node", "log-level", ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(expected);
  });

  test("drain says what moved and what is left; list shows it", async () => {
    fake.drained = { movedLeaders: 12, ledPartitions: 0 };
    const all = await fakeCli(fake, ["node", "drain", "2"]);
    expect(all).toMatchObject({
      code: 0,
      stderr: "broker 2 is drained: 12 leaders moved, it leads nothing\n",
    });
    fake.drained = { movedLeaders: 1, ledPartitions: 2 };
    const some = await fakeCli(fake, ["node", "drain", "2"]);
    expect(some.stderr).toBe(
      "broker 2 is drained: 1 leader moved, it leads 2 partitions until others are in sync\n",
    );
    expect(JSON.parse(await expectDone(fake, ["node", "drain", "2", "--json"]))).toEqual({
      nodeId: 2,
      movedLeaders: 1,
      ledPartitions: 2,
    });
    fake.setBroker(2, { isDrained: true });
    expect(await expectDone(fake, ["node", "list"])).toMatch(/^ *2 +drained /m);
  });

  test("undrain gives it back and tells how leaders come back", async () => {
    const { code, stderr } = await fakeCli(fake, ["node", "undrain", "2"]);
    expect(code).toBe(0);
    expect(stderr).toContain("broker 2 is in use again; leaders return to it");
    expect(fake.changes).toEqual([["drainBroker", { nodeId: 2, isDrained: false }]]);
  });

  test("unregister asks first; --yes does it", async () => {
    const asked = await fakeCli(fake, ["node", "unregister", "3"]);
    expect(asked.stderr).toContain("this would forget broker 3");
    expect(asked.code).toBe(2);
    expect(fake.changes).toEqual([]);
    expect((await fakeCli(fake, ["node", "unregister", "3", "--yes"])).stderr).toBe(
      "broker 3 is forgotten\n",
    );
    expect(fake.changes).toEqual([["unregisterBroker", { nodeId: 3 }]]);
  });

  test("unregister of an unknown broker ends with 3", async () => {
    fake.refusal = new ProtocolError("BROKER_ID_NOT_REGISTERED", "broker 9 is not registered");
    expect((await fakeCli(fake, ["node", "unregister", "9", "--yes"])).code).toBe(3);
  });
});
