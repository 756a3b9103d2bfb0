import type { PartitionImage } from "../metadata/image.ts";
import { nodeId } from "../model/ids.ts";
import { isInSync } from "./broker-quiet.ts";
import type { BrokerWorkload } from "./broker-workload.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import { shuffled } from "./partition-shapes.ts";
import { isSegment } from "./segment-rot.ts";
import type { DataKey } from "./sim-client.ts";
import type { CrashKind } from "./sim-machine.ts";

/**
 * Cuts the power of one machine whenever every replica of everything is in sync: with the flush policy "os" a record is
 * as safe as the others' memories, so only one may go at a time.
 */
export function crashOneByOne(cluster: MetadataCluster, data: BrokerWorkload, durationMs: number): void {
  const { random, scheduler, machines } = cluster;
  const next = (): void => {
    if (scheduler.nowMs >= durationMs) return;
    scheduler.schedule(20 + random.fraction() * 400, next);
    if (!isWhole(cluster, data)) return;
    // A controller that is back soon is back before anybody could fence it.
    const leader = random.fraction() < 0.5 ? cluster.leader()?.index : undefined;
    const downMs = 20 + random.fraction() ** 2 * 1_500;
    cluster.crash(leader ?? random.below(machines.length), drawCut(cluster), downMs);
  };
  next();
}

/**
 * Whenever everything is in sync: two replicas of a partition lose power, and the third, which alone has all records
 * then, stops in order before they are back. Who lost its memory must not lead in its place (KIP-966, H22).
 */
export function crashAllButOne(cluster: MetadataCluster, data: BrokerWorkload, durationMs: number): void {
  const { random, scheduler } = cluster;
  const next = (): void => {
    if (scheduler.nowMs >= durationMs) return;
    scheduler.schedule(100 + random.fraction() * 300, next);
    if (!isWhole(cluster, data)) return;
    const key = data.keys[random.below(data.keys.length)];
    const image = imageOf(cluster, key);
    const [first, second, last] = shuffled(image?.replicas.length ?? 0, random).map(
      (at) => (image?.replicas[at] ?? 0) - 1,
    );
    if (first === undefined || second === undefined || last === undefined) return;
    cluster.crash(first, drawCut(cluster), 1_200 + random.fraction() * 1_000);
    scheduler.schedule(100 + random.fraction() * 300, () => {
      if (scheduler.nowMs >= durationMs) return;
      cluster.crash(second, drawCut(cluster), 600 + random.fraction() * 500);
      scheduler.schedule(300 + random.fraction() * 400, () => {
        if (scheduler.nowMs >= durationMs) return;
        // While the controller still counts on the two, the third would leave it all to them.
        const isr = imageOf(cluster, key)?.isr ?? [];
        // Its end is told by the machine.
        if (isr.length === 1 && isr[0] === last + 1) void cluster.machine(last).stop();
      });
    });
  };
  next();
}

/**
 * Again and again a follower is left behind until it is out of the ISR, then the power of all fails at once. What leaders
 * then know of the high watermark is old, and the follower, whose disk is slow, has less than is committed: it must not
 * come back into the ISR before it has all that the new leader began with (H39).
 */
export function crashLaggards(cluster: MetadataCluster, data: BrokerWorkload, durationMs: number): void {
  const { random, scheduler } = cluster;
  let held: Held | undefined;
  const isOver = (): boolean => scheduler.nowMs >= durationMs;
  const next = (): void => {
    if (isOver()) return;
    if (!isWhole(cluster, data)) {
      scheduler.schedule(100 + random.fraction() * 200, next);
      return;
    }
    const key = data.keys[random.below(data.keys.length)];
    const image = imageOf(cluster, key);
    const followers = (image?.replicas ?? []).filter((node) => node !== image?.leader);
    const laggard = (followers[random.below(Math.max(followers.length, 1))] ?? 1) - 1;
    held = holdBack(cluster, laggard);
    const strike = (triesLeft: number): void => {
      if (isOver()) return;
      const isOut = imageOf(cluster, key)?.isr.includes(nodeId(laggard + 1)) === false;
      if (!isOut && triesLeft > 0) {
        scheduler.schedule(100, () => strike(triesLeft - 1));
        return;
      }
      // A little more is committed without it.
      scheduler.schedule(random.fraction() * 500, () => {
        if (isOver()) return;
        held?.mendLinks();
        cluster.markers.hit("allMachinesCut");
        for (const { index } of cluster.machines) {
          cluster.crash(index, "powerCut", 50 + random.fraction() * 200);
        }
        scheduler.schedule(1_000 + random.fraction() * 2_000, () => {
          held?.mendDisk();
          next();
        });
      });
    };
    strike(40);
  };
  next();
  // Before everything is healed.
  scheduler.schedule(durationMs - scheduler.nowMs, () => {
    held?.mendLinks();
    held?.mendDisk();
  });
}

/** What keeps a machine back, each until it is mended, once or more. */
interface Held {
  mendLinks(): void;
  mendDisk(): void;
}

/** The machine hears nobody and is heard by nobody, and its disk is slow, until that is mended. */
function holdBack(cluster: MetadataCluster, index: number): Held {
  const { machines, network, random } = cluster;
  const others = machines.flatMap(({ index: other }) => (other === index ? [] : [other]));
  let cut = others.flatMap((other) => [[index, other] as const, [other, index] as const]);
  network.cut(cut);
  const armed = cluster.machine(index).platform.disk.faults.arm({
    kind: "slow",
    operations: ["write", "sync"],
    times: Number.POSITIVE_INFINITY,
    delayMs: 20 + random.fraction() * 100,
    path: isSegment,
  });
  const mendLinks = (): void => {
    network.mend(cut);
    cut = [];
  };
  return { mendLinks, mendDisk: () => armed.disarm() };
}

function imageOf(cluster: MetadataCluster, key: DataKey | undefined): PartitionImage | undefined {
  return cluster.checker.model.image.topic(key?.topic ?? "")?.partitions[key?.partition ?? 0];
}

/** What was not synced is lost, or may be torn. */
function drawCut({ random }: MetadataCluster): CrashKind {
  return random.fraction() < 0.5 ? "powerCut" : "cleanCut";
}

function isWhole(cluster: MetadataCluster, data: BrokerWorkload): boolean {
  return (
    cluster.machines.every(({ broker }) => broker?.state === "running") &&
    data.keys.every((key) => isInSync(cluster, key))
  );
}
