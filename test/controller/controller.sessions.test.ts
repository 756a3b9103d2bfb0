import { expect, test } from "vitest";
import { operationError } from "../../src/base/errors.ts";
import { nodeId } from "../../src/model/ids.ts";
import { BenchBroker, ControllerBench, GRACE_MS, HEARTBEAT_MS, SESSION_MS } from "./controller-bench.ts";
import type { BenchWithBrokers } from "./controller-bench.ts";

/** Brokers 1 to 3, and the first one apart. */
async function threeBrokers(): Promise<BenchWithBrokers & { readonly first: BenchBroker }> {
  const { bench, brokers } = await ControllerBench.of(3);
  return { bench, brokers, first: brokers[0]! };
}

test("a broker is registered with the offset of its record, told when that is committed, and unfenced when it has it", async () => {
  const bench = new ControllerBench();
  bench.controller.activate(1);
  await bench.scheduler.drain();
  bench.log.isHolding = true;
  const offset = bench.log.nextOffset;
  const broker = new BenchBroker(bench, 1);
  broker.connect();
  await bench.advance(10);
  expect(broker.stream.frames).toEqual([]);
  bench.log.commit();
  await bench.scheduler.drain();
  expect(broker.stream.frames).toEqual([{ type: "registered", brokerEpoch: offset }]);
  broker.beat({ metadataOffset: offset - 1 });
  expect(broker.last).toEqual({ type: "state", isFenced: true, mayShutDown: false });
  expect(bench.log.held.length).toBe(0); // H30: it would serve without knowing of its own registration.
  broker.beat({ metadataOffset: offset });
  bench.log.commit();
  await bench.scheduler.drain();
  expect(broker.last).toEqual({ type: "state", isFenced: false, mayShutDown: false });
  expect(bench.isFenced(1)).toBe(false);
});

test("heartbeats are answered with the committed state, not with what is only proposed", async () => {
  const { bench, first } = await threeBrokers();
  bench.log.isHolding = true;
  first.beat({ loopAgeMs: SESSION_MS + 1 });
  first.beat({ loopAgeMs: SESSION_MS + 1 });
  expect(bench.log.held.length).toBe(1);
  expect(first.last).toMatchObject({ type: "state", isFenced: false });
  bench.log.commit();
  await bench.scheduler.drain();
  expect(first.last).toMatchObject({ type: "state", isFenced: true });
});

test("a broker that beats is never fenced", async () => {
  const { bench, brokers } = await threeBrokers();
  await bench.advance(20 * SESSION_MS);
  expect(bench.fencedIds()).toEqual([]);
  expect(brokers.every(({ stream }) => !stream.isClosed)).toBe(true);
});

test("a silent broker is fenced after its session's length, not before, and its stream ends", async () => {
  const { bench, first } = await threeBrokers();
  await bench.advance(10 * SESSION_MS);
  first.beat();
  first.fallSilent();
  await bench.advance(SESSION_MS - 1);
  expect(bench.isFenced(1)).toBe(false);
  await bench.advance(2);
  expect(bench.fencedIds()).toEqual([1]);
  expect(first.stream.isClosed).toBe(true);
});

test("a broker whose stream ends and whose process is gone is fenced at once", async () => {
  const { bench, first } = await threeBrokers();
  first.kill();
  await bench.advance(5);
  expect(bench.probes).toEqual(["host-1:9093"]);
  expect(bench.fencedIds()).toEqual([1]);
});

test("a broker whose stream ended and who is back within the grace period stays unfenced under its epoch", async () => {
  const { bench, first } = await threeBrokers();
  const epoch = first.brokerEpoch;
  const entries = bench.log.nextOffset;
  first.disconnect();
  await bench.advance(GRACE_MS - 10);
  first.connect();
  await bench.advance(2 * SESSION_MS);
  expect(bench.isFenced(1)).toBe(false);
  expect(first.brokerEpoch).toBe(epoch);
  expect(bench.log.nextOffset).toBe(entries);
});

test("a broker whose stream ended and who lives but does not come back is fenced after the grace period", async () => {
  const { bench, first } = await threeBrokers();
  first.disconnect();
  await bench.advance(GRACE_MS - 1);
  expect(bench.isFenced(1)).toBe(false);
  await bench.advance(2);
  expect(bench.fencedIds()).toEqual([1]);
});

test("the answer about a process does not fence the one that came after it", async () => {
  const { bench, first } = await threeBrokers();
  first.kill();
  first.connect();
  await bench.advance(SESSION_MS / 2);
  expect(bench.isFenced(1)).toBe(false);
});

test("the new stream of a broker replaces the old one, whose end then means nothing", async () => {
  const { bench, first } = await threeBrokers();
  const old = first.stream;
  first.connect();
  expect(old.isClosed).toBe(true);
  await bench.advance(2 * SESSION_MS);
  expect(bench.isFenced(1)).toBe(false);
});

test("the leadership of a fenced broker goes to another member of the ISR", async () => {
  const { bench, brokers } = await threeBrokers();
  await bench.createTopic("a", 3);
  const leader = bench.committed.topic("a")!.partitions[0]!.leader;
  brokers.find(({ nodeId }) => nodeId === leader)!.kill();
  await bench.advance(5);
  const after = bench.committed.topic("a")!.partitions[0]!;
  expect(after.leader).not.toBe(leader);
  expect(after.leader).toBeGreaterThan(0);
  expect(after.isr).not.toContain(leader);
});

test("after a failover everybody has a full session, and exactly the broker that is dead is fenced (H20)", async () => {
  const { bench, brokers } = await threeBrokers();
  await bench.advance(SESSION_MS - 100);
  brokers[2]!.fallSilent();
  bench.failOver();
  const [first, second] = brokers;
  // As late as a session allows, and the third one never.
  await bench.advance(SESSION_MS - 1);
  expect(bench.fencedIds()).toEqual([]);
  first!.connect();
  second!.connect();
  await bench.advance(5 * SESSION_MS);
  expect(bench.fencedIds()).toEqual([3]);
});

test("a broker that died with the controller is fenced when its process is found gone, not after a session", async () => {
  const { bench, brokers, first } = await threeBrokers();
  first.fallSilent();
  bench.gone.add(first.nodeId);
  bench.failOver();
  for (const broker of brokers.slice(1)) broker.connect();
  // Those who live have had the time to come, and are not looked for.
  await bench.advance(100);
  expect(bench.probes).toEqual(["host-1:9093"]);
  expect(bench.fencedIds()).toEqual([1]);
});

test("a new controller fences few brokers a second, and those heard in the meantime not at all (H20)", async () => {
  const { bench, brokers } = await ControllerBench.of(6, { maxFencesPerSecond: 2 });
  for (const broker of brokers) broker.fallSilent();
  bench.failOver();
  await bench.advance(SESSION_MS + 1);
  expect(bench.fencedIds().length).toBe(2);
  brokers[5]!.connect();
  await bench.advance(1000);
  expect(bench.fencedIds().length).toBe(4);
  await bench.advance(2000);
  expect(bench.fencedIds()).toEqual([1, 2, 3, 4, 5]);
});

test("a restart within 200 ms is taken at once, under a new epoch, and leaves every ISR until it has caught up (H26)", async () => {
  const { bench, first } = await threeBrokers();
  await bench.createTopic("a", 3);
  first.kill();
  await bench.advance(200);
  const next = new BenchBroker(bench, 1);
  next.connect();
  await bench.advance(5);
  expect(next.brokerEpoch).toBeGreaterThan(first.brokerEpoch!);
  expect(bench.committed.topic("a")!.partitions[0]!.isr).toEqual([2, 3]);
  expect(bench.isFenced(1)).toBe(false);
});

test("a restart is taken even before the old stream has ended, and the old process's frames mean nothing (H26)", async () => {
  const { bench, first } = await threeBrokers();
  await bench.createTopic("a", 3);
  first.fallSilent();
  const next = new BenchBroker(bench, 1);
  next.connect();
  expect(first.stream.isClosed).toBe(true);
  await bench.advance(5);
  expect(next.brokerEpoch).toBeGreaterThan(first.brokerEpoch!);
  expect(bench.committed.topic("a")!.partitions[0]!.isr).toEqual([2, 3]);
  await bench.advance(2 * SESSION_MS);
  expect(bench.isFenced(1)).toBe(false);
});

test("a heartbeat under an older epoch is refused and says to register again", async () => {
  const { bench, first } = await threeBrokers();
  first.beat({ brokerEpoch: first.brokerEpoch! - 1 });
  expect(first.last).toMatchObject({ type: "refused", code: "STALE_BROKER_EPOCH", isRetriable: true });
  expect(first.stream.isClosed).toBe(true);
  expect(bench.isFenced(1)).toBe(false);
});

test("a second process with the node id and another directory is refused while the first lives (H26)", async () => {
  const { bench, first } = await threeBrokers();
  const clone = new BenchBroker(bench, 1, { directoryId: "another directory" });
  clone.connect();
  await bench.advance(10);
  expect(clone.last).toMatchObject({
    type: "refused",
    code: "DUPLICATE_BROKER_REGISTRATION",
    isRetriable: false,
  });
  expect(clone.stream.isClosed).toBe(true);
  await bench.advance(2 * SESSION_MS);
  expect(first.stream.isClosed).toBe(false);
  expect(bench.committed.broker(first.nodeId)?.directoryId).toBe(first.register.directoryId);
});

test("another directory is taken once the old broker is unregistered", async () => {
  const { bench, first } = await threeBrokers();
  first.kill();
  await bench.advance(2 * SESSION_MS);
  const other = new BenchBroker(bench, 1, { directoryId: "another directory" });
  other.connect();
  await bench.advance(10);
  expect(other.last).toMatchObject({ type: "refused", code: "INVALID_REGISTRATION" });
  await bench.call({ type: "unregisterBroker", nodeId: first.nodeId });
  other.connect();
  await bench.advance(HEARTBEAT_MS);
  expect(bench.isFenced(1)).toBe(false);
});

test("after a standstill queued heartbeats are read before anybody is taken for dead (H32)", async () => {
  const { bench, brokers } = await threeBrokers();
  await bench.advance(SESSION_MS);
  brokers[0]!.fallSilent();
  const queued = brokers.slice(1);
  for (const broker of queued) broker.fallSilent();
  bench.clock.pause();
  await bench.advance(3 * SESSION_MS);
  bench.clock.resume();
  // The deadlines' timer fires first; what the sockets hold is read in the same turn of the loop.
  bench.scheduler.schedule(0, () => {
    for (const broker of queued) broker.beat();
  });
  await bench.advance(1);
  expect(bench.fencedIds()).toEqual([1]);
});

test.each(["loopAgeMs", "diskAgeMs"])(
  "a broker whose heartbeats come but whose %s is over a session is fenced, and unfenced when it recovers (H29)",
  async (age) => {
    const { bench, first } = await threeBrokers();
    first.health = { [age]: SESSION_MS };
    await bench.advance(2 * HEARTBEAT_MS);
    expect(bench.fencedIds()).toEqual([]);
    first.health = { [age]: SESSION_MS + 1 };
    await bench.advance(HEARTBEAT_MS);
    expect(bench.fencedIds()).toEqual([1]);
    expect(first.stream.isClosed).toBe(false);
    expect(first.last).toEqual({ type: "state", isFenced: true, mayShutDown: false });
    first.health = {};
    await bench.advance(HEARTBEAT_MS);
    expect(bench.fencedIds()).toEqual([]);
  },
);

test("a broker that wants to stop may do so once its leaderships have moved, and is fenced when its stream ends", async () => {
  const { bench, brokers } = await threeBrokers();
  await bench.createTopic("a", 3);
  const leader = bench.committed.topic("a")!.partitions[0]!.leader;
  const broker = brokers.find(({ nodeId }) => nodeId === leader)!;
  bench.log.isHolding = true;
  broker.health = { wantsShutdown: true };
  broker.beat();
  await bench.advance(10);
  expect(broker.last).not.toMatchObject({ mayShutDown: true });
  bench.log.commit();
  await bench.scheduler.drain();
  expect(broker.last).toEqual({ type: "state", isFenced: false, mayShutDown: true });
  expect(bench.committed.topic("a")!.partitions[0]!.leader).not.toBe(leader);
  bench.log.isHolding = false;
  // Its process still listens, which makes no difference to one that said so.
  broker.disconnect();
  await bench.advance(1);
  expect(bench.isFenced(leader)).toBe(true);
  expect(bench.probes).toEqual([]);
});

test("asking again to stop changes nothing and is answered again", async () => {
  const { bench, first } = await threeBrokers();
  first.health = { wantsShutdown: true };
  await bench.advance(HEARTBEAT_MS);
  const entries = bench.log.nextOffset;
  await bench.advance(4 * HEARTBEAT_MS);
  expect(bench.log.nextOffset).toBe(entries);
  expect(first.last).toEqual({ type: "state", isFenced: false, mayShutDown: true });
});

test("a broker whose metadata hashes differently is refused, told about, and fenced (H19)", async () => {
  const { bench, brokers } = await threeBrokers();
  bench.checkpoint = { offset: 1024, hash: 7 };
  brokers[0]!.health = { stateHash: { offset: 1024, hash: 7 } };
  brokers[1]!.health = { stateHash: { offset: 1024, hash: 8 } };
  brokers[2]!.health = { stateHash: { offset: 2048, hash: 9 } };
  await bench.advance(HEARTBEAT_MS + 5);
  expect(brokers[1]!.last).toMatchObject({ type: "refused", code: "METADATA_CORRUPT", isRetriable: false });
  expect(bench.logger.lines.filter((line) => line.startsWith("error")).join()).toContain(
    "broker 2 at offset 1024",
  );
  expect(bench.fencedIds()).toEqual([2]);
});

test("a frame that cannot be decoded ends that stream only", async () => {
  const { bench, brokers, first } = await threeBrokers();
  first.sendBytes(Buffer.from([1, 99]));
  expect(first.last).toMatchObject({ type: "refused", code: "CORRUPT_MESSAGE" });
  expect(first.stream.isClosed).toBe(true);
  expect(brokers.slice(1).every(({ stream }) => !stream.isClosed)).toBe(true);
  first.connect();
  await bench.advance(2 * SESSION_MS);
  expect(bench.fencedIds()).toEqual([]);
});

test("a heartbeat before the registration, and another broker's registration on the same stream, end the stream", async () => {
  const { bench, first } = await threeBrokers();
  const stranger = new BenchBroker(bench, 4);
  stranger.open();
  stranger.send({
    type: "heartbeat",
    brokerEpoch: first.brokerEpoch!,
    metadataOffset: 100,
    loopAgeMs: 0,
    diskAgeMs: 0,
    wantsShutdown: false,
    isDiskFull: false,
  });
  expect(stranger.stream).toMatchObject({
    isClosed: true,
    frames: [{ type: "refused", code: "INVALID_ARGUMENT" }],
  });
  first.send(stranger.register);
  expect(first.last).toMatchObject({ type: "refused", code: "INVALID_ARGUMENT" });
  expect(bench.committed.broker(stranger.nodeId)).toBeUndefined();
});

test("deactivation sends every broker to the new leader and forgets the sessions", async () => {
  const { bench, brokers } = await threeBrokers();
  bench.controller.deactivate();
  for (const { stream } of brokers) {
    expect(stream).toMatchObject({ isClosed: true });
    expect(stream.frames.at(-1)).toEqual({ type: "notController" });
  }
  const entries = bench.log.nextOffset;
  await bench.advance(3 * SESSION_MS);
  expect(bench.log.nextOffset).toBe(entries);
});

test("a fencing that cannot be logged now is tried again", async () => {
  const { bench, first } = await threeBrokers();
  bench.log.refusal = operationError("DISK_FULL", "full");
  first.kill();
  await bench.advance(1000);
  expect(bench.isFenced(1)).toBe(false);
  bench.log.refusal = undefined;
  await bench.advance(200);
  expect(bench.fencedIds()).toEqual([1]);
});

test("a registration that cannot be logged now is refused as one that may be tried again", async () => {
  const { bench } = await threeBrokers();
  bench.log.refusal = operationError("BUFFER_EXHAUSTED", "busy");
  const fourth = new BenchBroker(bench, 4);
  fourth.connect();
  expect(fourth.last).toMatchObject({ type: "refused", code: "BUFFER_EXHAUSTED", isRetriable: true });
  bench.log.refusal = undefined;
  fourth.connect();
  await bench.advance(HEARTBEAT_MS);
  expect(bench.isFenced(4)).toBe(false);
});

test("a heartbeat whose change cannot be logged now keeps its stream, and the next one gets it done", async () => {
  const { bench, first } = await threeBrokers();
  bench.log.refusal = operationError("BUFFER_EXHAUSTED", "busy");
  first.beat({ diskAgeMs: SESSION_MS + 1 });
  expect(first.stream.isClosed).toBe(false);
  expect(first.last).toMatchObject({ type: "state", isFenced: false });
  bench.log.refusal = undefined;
  first.beat({ diskAgeMs: SESSION_MS + 1 });
  await bench.scheduler.drain();
  expect(bench.fencedIds()).toEqual([1]);
});

test("a process that said that it stops is not unfenced again when it comes back without the wish", async () => {
  const { bench, first } = await threeBrokers();
  first.beat({ wantsShutdown: true });
  await bench.advance(1);
  first.disconnect();
  await bench.advance(1);
  expect(bench.fencedIds()).toEqual([1]);
  first.connect();
  await bench.advance(2 * HEARTBEAT_MS);
  expect(bench.fencedIds()).toEqual([1]);
});

test("streams past the bound push out the oldest one on which nobody registered", async () => {
  const { bench, brokers } = await ControllerBench.of(2, { maxStreams: 3 });
  const closed: string[] = [];
  const open = (name: string) =>
    bench.controller.acceptSession({ send: () => undefined, close: () => closed.push(name) });
  open("idle");
  open("next");
  expect(closed).toEqual(["idle"]);
  const third = new BenchBroker(bench, 3);
  third.connect();
  await bench.advance(1);
  expect(closed).toEqual(["idle", "next"]);
  const fourth = new BenchBroker(bench, 4);
  fourth.connect();
  expect(fourth.last).toMatchObject({ type: "refused", code: "BUFFER_EXHAUSTED", isRetriable: true });
  expect(brokers.every(({ stream }) => !stream.isClosed)).toBe(true);
});

test("no timer waits while there is no session, and one for all of them otherwise", async () => {
  const bench = new ControllerBench();
  bench.controller.activate(1);
  await bench.scheduler.drain();
  expect(bench.scheduler.pendingCount).toBe(0);
  const brokers = [1, 2, 3].map((id) => new BenchBroker(bench, id));
  for (const broker of brokers) broker.connect();
  await bench.advance(1);
  for (const broker of brokers) broker.fallSilent();
  expect(bench.scheduler.pendingCount).toBe(1);
  await bench.advance(2 * SESSION_MS);
  expect(bench.scheduler.pendingCount).toBe(0);
});

test("a process is looked for where this node's configuration says, else where it registered", async () => {
  const configuredPeers = new Map([[nodeId(1), "inner-1:9999"]]);
  const { bench, brokers } = await ControllerBench.of(2, { configuredPeers });
  for (const broker of brokers) broker.kill();
  await bench.advance(5);
  expect(bench.probes).toEqual(["inner-1:9999", "host-2:9093"]);
});
