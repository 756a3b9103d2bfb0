import { expect, test } from "vitest";
import type { Broker } from "../../src/broker/broker.ts";
import type { FetchedPartition } from "../../src/broker/fetched-partition.ts";
import { BrokerProgram } from "../../src/sim/broker-program.ts";
import { MarkerCounts } from "../../src/sim/markers.ts";
import { MetadataCluster, SESSION_TIMEOUT_MS } from "../../src/sim/metadata-cluster.ts";

const BROKERS = [0, 1, 2];
/** A word of the controller that was on its way, and the turns of the loop. */
const GRACE_MS = 100;

function running(cluster: MetadataCluster, index: number): Broker {
  const { broker } = cluster.machine(index);
  if (broker?.state !== "running") throw new Error(`broker ${index} does not run`);
  return broker;
}

test("a leader that is cut off sends its readers away after a session, and serves again when it is back (H31)", async () => {
  const markers = new MarkerCounts();
  const cluster = new MetadataCluster(
    {
      seed: 5,
      voterCount: 3,
      learnerCount: 0,
      shownEvents: 0,
      program: (place) => new BrokerProgram({ config: {} }, place),
    },
    { markers },
  );
  const { scheduler, network } = cluster;
  cluster.start();
  await scheduler.runUntil(() => cluster.machines.every(({ broker }) => broker?.state === "running"), 60_000);
  const wish = { name: "t", partitions: 3, replicationFactor: 3, configs: new Map<string, string>() };
  const created = running(cluster, 0).createTopics({ topics: [wish], validateOnly: false });
  expect(await scheduler.settle(created, 60_000)).toMatchObject([{ error: "NONE" }]);
  await scheduler.advance(1000);

  // One that is not the controller: that one would give up its office first.
  const victim = BROKERS.find((index) => index !== cluster.leader()?.index) ?? 0;
  const broker = running(cluster, victim);
  const partition =
    broker.image.topic("t")?.partitions.findIndex(({ leader }) => leader === victim + 1) ?? -1;
  expect(partition).toBeGreaterThanOrEqual(0);
  const sent: { readonly error: FetchedPartition["error"]; readonly atMs: number }[] = [];
  const session = broker.openFetch(
    { maxMessageBytes: 0, minBytes: 0, maxWaitMs: 0, readCommitted: false },
    {
      send: (items) => {
        for (const { error } of items) sent.push({ error, atMs: scheduler.nowMs });
        return true;
      },
    },
  );
  const position = { topic: "t", partition, offset: 0, leaderEpoch: -1, generation: 0 };
  session.add([position]);
  await scheduler.advance(500);
  expect(sent.splice(0).map(({ error }) => error)).toEqual(["NONE"]);

  const links = BROKERS.filter((index) => index !== victim).flatMap(
    (index) =>
      [
        [index, victim],
        [victim, index],
      ] as const,
  );
  const cutAtMs = scheduler.nowMs;
  network.cut(links);
  await scheduler.advance(SESSION_TIMEOUT_MS + GRACE_MS);
  expect(sent.map(({ error }) => error)).toEqual(["NOT_LEADER_OR_FOLLOWER"]);
  expect((sent[0]?.atMs ?? 0) - cutAtMs).toBeGreaterThan(SESSION_TIMEOUT_MS / 2);
  expect(broker.image.topic("t")?.partitions[partition]?.leader).toBe(victim + 1);

  network.mend(links);
  const isLeaderAgain = async (): Promise<boolean> => {
    sent.length = 0;
    session.add([position]);
    await scheduler.advance(200);
    return sent[0]?.error === "NONE";
  };
  // Who is preferred leads again some time after it is back; until then the cut-off one is a follower.
  let isServed = false;
  for (let n = 0; n < 600 && !isServed; n++) isServed = await isLeaderAgain();
  expect(isServed).toBe(true);
  cluster.dispose();
});
