import { expect, test } from "vitest";
import { operationError } from "../../src/base/errors.ts";
import { nodeId } from "../../src/model/ids.ts";
import { BenchBroker, ControllerBench } from "./controller-bench.ts";
import { RULES } from "./test-cluster.ts";

/** Whether the promise has settled by now. */
async function isSettled(bench: ControllerBench, promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const mark = (): void => void (settled = true);
  promise.then(mark, mark);
  await bench.scheduler.drain();
  return settled;
}

test("an answer waits for the commit of its own entry", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.log.isHolding = true;
  const offset = bench.log.nextOffset;
  const answer = bench.createTopic("a");
  expect(await isSettled(bench, answer)).toBe(false);
  expect(bench.committed.topic("a")).toBeUndefined();
  bench.log.commit();
  expect(await answer).toMatchObject({
    type: "createTopics",
    offset,
    result: [{ error: "NONE", name: "a" }],
  });
  expect(bench.committed.topic("a")).toBeDefined();
});

test("decisions follow each other before the first of them is committed, and each sees those before it", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.log.isHolding = true;
  const answers = [bench.createTopic("a"), bench.createTopic("b"), bench.createTopic("a")];
  expect(bench.log.held.length).toBe(2);
  bench.log.commit();
  const outcomes = (await Promise.all(answers)).map(({ result }) => result[0]?.error);
  expect(outcomes).toEqual(["NONE", "NONE", "TOPIC_ALREADY_EXISTS"]);
});

test("a decision without records is answered when all that it may have seen is committed", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.log.isHolding = true;
  const created = bench.createTopic("a");
  const repeated = bench.createTopic("a");
  expect(await isSettled(bench, repeated)).toBe(false);
  bench.log.commit();
  expect((await repeated).offset).toBe((await created).offset);
});

test("a decision without records is answered at once when nothing waits", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.log.isHolding = true;
  const { result, offset } = await bench.call({ type: "deleteTopics", names: ["none"] });
  expect(result[0]?.error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(offset).toBe(bench.log.nextOffset - 1);
});

test("thousands of partitions are one entry", async () => {
  const rules = { ...RULES, maxTopicPartitions: 5000, maxPartitions: 5000 };
  const { bench } = await ControllerBench.of(3, { rules });
  bench.log.isHolding = true;
  const topic = { name: "wide", partitions: 5000, replicationFactor: 3, configs: new Map<string, string>() };
  const answer = bench.call({ type: "createTopics", topics: [topic], validateOnly: false });
  expect(bench.log.held.length).toBe(1);
  bench.log.commit();
  expect((await answer).result[0]?.error).toBe("NONE");
  expect(bench.committed.topic("wide")?.partitions.length).toBe(5000);
});

test("lost leadership rejects what waits with NOT_CONTROLLER and forgets what was decided ahead", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.log.isHolding = true;
  const first = bench.createTopic("a");
  const second = bench.createTopic("a");
  bench.controller.deactivate();
  for (const lost of [first, second]) {
    await expect(lost).rejects.toMatchObject({ code: "NOT_CONTROLLER", context: { isIndefinite: true } });
  }
  expect(bench.controller.isActive).toBe(false);
  bench.log.lose();
  bench.log.isHolding = false;
  bench.controller.activate(3);
  expect((await bench.createTopic("a")).result[0]?.error).toBe("NONE");
});

test("a proposal that fails ends the activation, before the quorum tells of it", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.log.isHolding = true;
  const lost = bench.createTopic("a");
  bench.log.lose();
  await expect(lost).rejects.toMatchObject({ code: "NOT_CONTROLLER", context: { isIndefinite: true } });
  await bench.scheduler.drain();
  expect(bench.controller.isActive).toBe(false);
  await expect(bench.createTopic("b")).rejects.toMatchObject({
    code: "NOT_CONTROLLER",
    context: { isIndefinite: false },
  });
});

test.each(["NOT_CONTROLLER", "BUFFER_EXHAUSTED", "DISK_FULL"])(
  "a refused proposal (%s) leaves nothing behind in the state that decisions see",
  async (code) => {
    const { bench } = await ControllerBench.of(1);
    bench.log.refusal = operationError(code as "DISK_FULL", "not now");
    await expect(bench.createTopic("a")).rejects.toMatchObject({ code });
    bench.log.refusal = undefined;
    expect((await bench.createTopic("a")).result[0]?.error).toBe("NONE");
  },
);

test("commands past the bound are refused with BUFFER_EXHAUSTED, and taken again once one is answered", async () => {
  const { bench } = await ControllerBench.of(1, { maxWaiting: 2 });
  bench.log.isHolding = true;
  const waiting = [bench.createTopic("a"), bench.createTopic("b")];
  await expect(bench.createTopic("c")).rejects.toMatchObject({ code: "BUFFER_EXHAUSTED", retriable: true });
  bench.log.commit();
  await Promise.all(waiting);
  bench.log.isHolding = false;
  expect((await bench.createTopic("c")).result[0]?.error).toBe("NONE");
});

test("a caller that gives up is told that the command may still take effect, and it does", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.log.isHolding = true;
  const abort = new AbortController();
  const topic = { name: "a", partitions: 1, replicationFactor: 1, configs: new Map<string, string>() };
  const answer = bench.call({ type: "createTopics", topics: [topic], validateOnly: false }, abort.signal);
  abort.abort(operationError("TIMEOUT", "not done within 5 ms"));
  await expect(answer).rejects.toMatchObject({ code: "TIMEOUT", context: { isIndefinite: true } });
  await expect(answer).rejects.toThrow("may still take effect");
  bench.log.commit();
  expect(bench.committed.topic("a")).toBeDefined();
});

test("a call with a fired signal proposes nothing", async () => {
  const { bench } = await ControllerBench.of(1);
  const before = bench.log.nextOffset;
  const signal = AbortSignal.abort(operationError("ABORTED", "stopped"));
  await expect(bench.call({ type: "electLeaders", topics: undefined }, signal)).rejects.toThrow("stopped");
  expect(bench.log.nextOffset).toBe(before);
});

test("a controller that is not active refuses calls and sends brokers to the leader", async () => {
  const bench = new ControllerBench();
  const leader = { nodeId: nodeId(2), directoryId: "d", endpoint: "host-2:9093" };
  bench.quorum.leader = leader;
  await expect(bench.createTopic("a")).rejects.toMatchObject({ code: "NOT_CONTROLLER" });
  const broker = new BenchBroker(bench, 1);
  broker.connect();
  expect(broker.stream).toMatchObject({ isClosed: true, frames: [{ type: "notController", leader }] });
});

test("a new cluster gets its feature levels once", async () => {
  const bench = new ControllerBench();
  bench.controller.activate(1);
  await bench.scheduler.drain();
  expect([...bench.committed.features.keys()]).toEqual(["metadata.version", "raft.version"]);
  const after = bench.log.nextOffset;
  bench.controller.activate(2);
  expect(bench.log.nextOffset).toBe(after);
});

test("producer ids go to the present registration of a broker only", async () => {
  const { bench, brokers } = await ControllerBench.of(1);
  const brokerEpoch = brokers[0]!.brokerEpoch!;
  const request = { type: "allocateProducerIds", nodeId: nodeId(1), brokerEpoch } as const;
  expect((await bench.call(request)).result).toEqual({ first: 0, end: 1000 });
  expect((await bench.call(request)).result).toEqual({ first: 1000, end: 2000 });
  const stale = bench.call({ ...request, brokerEpoch: brokerEpoch - 1 });
  await expect(stale).rejects.toMatchObject({ code: "STALE_BROKER_EPOCH" });
  expect(bench.committed.nextProducerId).toBe(2000);
});

test("a refusal of the request as a whole is thrown", async () => {
  const { bench } = await ControllerBench.of(1);
  const running = bench.call({ type: "unregisterBroker", nodeId: nodeId(1) });
  await expect(running).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  const unknown = bench.call({ type: "updateFeature", name: "no.such", level: 1, isDryRun: false });
  await expect(unknown).rejects.toMatchObject({ code: "INVALID_UPDATE_VERSION" });
});

test("topics grow, are configured and deleted through the controller", async () => {
  const { bench } = await ControllerBench.of(1);
  await bench.createTopic("a");
  await bench.call({ type: "addPartitions", name: "a", totalPartitions: 3, validateOnly: false });
  const set = new Map([["min.insync.replicas", "1"]]);
  const configured = await bench.call({
    type: "alterConfigs",
    name: "a",
    set,
    unset: [],
    validateOnly: false,
  });
  // What goes over the wire is what is answered here, and no more.
  expect(Object.keys(configured.result)).not.toContain("uncleanElections");
  expect(bench.committed.topic("a")?.partitions.length).toBe(3);
  expect(bench.committed.topic("a")?.configs).toEqual(set);
  await bench.call({ type: "deleteTopics", names: ["a"] });
  expect(bench.committed.topicCount).toBe(0);
});

test("a feature's answer has the range that the controller supports", async () => {
  const { bench } = await ControllerBench.of(1);
  const request = { type: "updateFeature", name: "metadata.version", level: 3, isDryRun: true } as const;
  expect((await bench.call(request)).result).toEqual({ name: "metadata.version", level: 3, min: 1, max: 3 });
});

test("changes of the voters go to the quorum, and its view is read behind a barrier", async () => {
  const { bench } = await ControllerBench.of(1);
  await bench.call({ type: "addVoter", nodeId: nodeId(4) });
  await bench.call({ type: "removeVoter", nodeId: nodeId(2), directoryId: "old" });
  expect(bench.quorum.changes).toEqual([
    { type: "add", nodeId: 4 },
    { type: "remove", nodeId: 2, directoryId: "old" },
  ]);
  const described = await bench.call({ type: "describeQuorum" });
  expect(described).toEqual({ type: "describeQuorum", offset: 41, result: bench.quorum.view });
});

test("preferred leaders are elected by themselves at the interval, and only then", async () => {
  const { bench, brokers } = await ControllerBench.of(2, { leaderRebalanceIntervalMs: 60_000 });
  await bench.createTopic("a", 2);
  const [preferred] = bench.committed.topic("a")!.partitions[0]!.replicas;
  const broker = brokers.find(({ nodeId: id }) => id === preferred)!;
  broker.kill();
  await bench.advance(100);
  const partition = (): { leader: number; isr: readonly number[] } =>
    bench.committed.topic("a")!.partitions[0]!;
  expect(partition().leader).not.toBe(preferred);
  // Back in the ISR, which its leader would tell of.
  broker.connect();
  await bench.advance(1000);
  const state = bench.committed.topic("a")!;
  const before = state.partitions[0]!;
  bench.log.propose([
    {
      type: "Partition",
      topicId: state.topicId,
      partition: 0,
      ...before,
      isr: before.replicas,
      elr: [],
      lastKnownElr: [],
      partitionEpoch: before.partitionEpoch + 1,
    },
  ]);
  await bench.scheduler.drain();
  bench.controller.activate(2);
  for (const each of brokers) each.connect();
  await bench.advance(59_000);
  expect(partition().leader).not.toBe(preferred);
  await bench.advance(2000);
  expect(partition().leader).toBe(preferred);
});

test("a change that somebody asked for leaves one line when it is committed, and a refused one none", async () => {
  const { bench } = await ControllerBench.of(1);
  bench.logger.lines.length = 0;
  await bench.createTopic("a");
  await bench.createTopic("a");
  await bench.call({ type: "deleteTopics", names: ["none"] });
  expect(bench.logger.lines).toEqual(["info topics were created"]);
});
