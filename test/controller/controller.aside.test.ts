import { describe, expect, test } from "vitest";
import { operationError } from "../../src/base/errors.ts";
import { nodeId } from "../../src/model/ids.ts";
import { ControllerBench, GRACE_MS, HEARTBEAT_MS, SESSION_MS } from "./controller-bench.ts";
import type { BenchBroker, BenchWithBrokers } from "./controller-bench.ts";

/** Leader and ISR of the first partition of a topic. */
function placeOf(bench: ControllerBench, topic: string): { leader: number; isr: readonly number[] } {
  const { leader, isr } = bench.committed.topic(topic)!.partitions[0]!;
  return { leader, isr };
}

describe("a broker whose disk is full", () => {
  async function leaderOf(topic: string): Promise<BenchWithBrokers & { readonly leader: BenchBroker }> {
    const { bench, brokers } = await ControllerBench.of(3);
    await bench.createTopic(topic, 3);
    const leader = brokers.find(({ nodeId }) => nodeId === placeOf(bench, topic).leader)!;
    return { bench, brokers, leader };
  }

  test("is led by others from the heartbeat on that says so, and may lead again from the one that says no more", async () => {
    const { bench, leader } = await leaderOf("a");
    leader.health = { isDiskFull: true };
    leader.beat();
    await bench.advance(1);
    const aside = placeOf(bench, "a");
    expect(aside.leader).not.toBe(leader.nodeId);
    expect(aside.isr).toHaveLength(2);
    expect(aside.isr).not.toContain(leader.nodeId);
    expect(leader.last).toEqual({ type: "state", isFenced: false, mayShutDown: false });
    expect(bench.logger.lines).toContainEqual(
      expect.stringMatching(/^warn .*disk is full steps aside.*free/),
    );
    const entries = bench.log.nextOffset;
    await bench.advance(10 * HEARTBEAT_MS);
    expect(bench.log.nextOffset).toBe(entries);
    leader.health = {};
    leader.beat();
    await bench.advance(1);
    expect(bench.committed.broker(leader.nodeId)).toMatchObject({ isFenced: false, isShuttingDown: false });
    expect(bench.logger.lines.at(-1)).toMatch(/^info .*has room again/);
  });

  test("leads on what nobody else can lead, also when all disks are full", async () => {
    const { bench, brokers } = await leaderOf("a");
    for (const broker of brokers) broker.health = { isDiskFull: true };
    await bench.advance(HEARTBEAT_MS + 1);
    const { leader, isr } = placeOf(bench, "a");
    expect(leader).toBeGreaterThan(0);
    expect(isr).toEqual([leader]);
    expect(bench.fencedIds()).toEqual([]);
    // The last one steps aside as soon as it does so for somebody.
    expect(bench.committed.broker(nodeId(leader))?.isShuttingDown).toBe(false);
    const other = brokers.find((broker) => broker.nodeId !== leader)!;
    other.health = {};
    await bench.advance(2 * HEARTBEAT_MS);
    expect(bench.committed.broker(other.nodeId)?.isShuttingDown).toBe(false);
    expect(bench.committed.broker(nodeId(leader))?.isShuttingDown).toBe(true);
    // From the ELR, for the one that led is as full as before.
    expect(placeOf(bench, "a").leader).toBeGreaterThan(0);
  });

  test("and that has nobody to step aside for has nothing logged about it", async () => {
    const { bench, brokers } = await ControllerBench.of(1);
    const entries = bench.log.nextOffset;
    brokers[0]!.health = { isDiskFull: true };
    await bench.advance(4 * HEARTBEAT_MS);
    expect(bench.log.nextOffset).toBe(entries);
  });

  test("that wants to stop stops for good: no later heartbeat takes it back", async () => {
    const { bench, leader } = await leaderOf("a");
    leader.beat({ isDiskFull: true });
    await bench.advance(1);
    leader.beat({ isDiskFull: true, wantsShutdown: true });
    await bench.advance(1);
    expect(leader.last).toMatchObject({ mayShutDown: true });
    expect(bench.logger.lines).toContain("info broker shuts down");
    // Late, or of a process that lost its mind.
    leader.beat({ isDiskFull: false });
    await bench.advance(1);
    expect(bench.committed.broker(leader.nodeId)).toMatchObject({ isFenced: false, isShuttingDown: true });
    leader.connect();
    await bench.advance(2 * HEARTBEAT_MS);
    expect(bench.committed.broker(leader.nodeId)).toMatchObject({ isFenced: false, isShuttingDown: true });
    leader.disconnect();
    await bench.advance(1);
    expect(bench.fencedIds()).toEqual([leader.nodeId]);
  });

  test("is not fenced with its stream, for it is not about to stop", async () => {
    const { bench, leader } = await leaderOf("a");
    leader.beat({ isDiskFull: true });
    await bench.advance(1);
    leader.disconnect();
    await bench.advance(GRACE_MS - 10);
    expect(bench.isFenced(leader.nodeId)).toBe(false);
    expect(bench.probes).toHaveLength(1);
    leader.health = { isDiskFull: true };
    leader.connect();
    await bench.advance(2 * SESSION_MS);
    expect(bench.fencedIds()).toEqual([]);
  });

  test("and that was fenced comes back aside, to what waits for it, and takes part when it has room", async () => {
    const { bench, leader: first } = await leaderOf("a");
    first.health = { isDiskFull: true };
    first.beat();
    await bench.advance(1);
    first.fallSilent();
    await bench.advance(SESSION_MS + 1);
    expect(bench.fencedIds()).toEqual([first.nodeId]);
    first.connect();
    await bench.advance(10);
    expect(bench.committed.broker(first.nodeId)).toMatchObject({ isFenced: false, isShuttingDown: true });
    first.health = {};
    first.beat();
    await bench.advance(1);
    expect(bench.committed.broker(first.nodeId)).toMatchObject({ isFenced: false, isShuttingDown: false });
  });

  test("is taken back by the next controller too, which knows of it by the metadata alone", async () => {
    const { bench, brokers, leader } = await leaderOf("a");
    leader.beat({ isDiskFull: true });
    await bench.advance(1);
    bench.failOver();
    for (const broker of brokers) broker.connect();
    await bench.advance(HEARTBEAT_MS);
    expect(bench.committed.broker(leader.nodeId)).toMatchObject({ isFenced: false, isShuttingDown: false });
  });

  test("keeps its stream while that cannot be logged, and the next heartbeat gets it done", async () => {
    const { bench, leader } = await leaderOf("a");
    leader.health = { isDiskFull: true };
    bench.log.refusal = operationError("DISK_FULL", "full");
    leader.beat();
    expect(leader.stream.isClosed).toBe(false);
    bench.log.refusal = undefined;
    await bench.advance(HEARTBEAT_MS + 1);
    expect(placeOf(bench, "a").leader).not.toBe(leader.nodeId);
  });
});
