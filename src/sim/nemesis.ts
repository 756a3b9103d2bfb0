import { entryKey, HEADER_KEY } from "../quorum/store-format.ts";
import type { Fault, FaultTarget, PlannedFault } from "./faults.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import { linksOf } from "./partition-shapes.ts";
import type { Links } from "./partition-shapes.ts";
import { isSegment } from "./segment-rot.ts";
import type { SegmentRot } from "./segment-rot.ts";
import { SimMachine } from "./sim-machine.ts";
import { GOOD_LINKS } from "./sim-network.ts";

/** Carries a plan of faults out on a cluster, as far as the cluster can bear them, and ends them. */
export class Nemesis {
  readonly #cluster: MetadataCluster;
  readonly #rot: SegmentRot | undefined;
  /** What is wrong now, as the functions that mend it. */
  readonly #ongoing = new Set<() => void>();
  #isOver = false;

  /** @param deps.rot of clusters with data. */
  constructor(deps: { readonly cluster: MetadataCluster; readonly rot?: SegmentRot }) {
    this.#cluster = deps.cluster;
    this.#rot = deps.rot;
  }

  /** Strikes as planned, times from now. */
  begin(plan: readonly PlannedFault[]): void {
    for (const { atMs, fault } of plan) {
      this.#cluster.scheduler.schedule(atMs, () => {
        if (!this.#isOver) this.strike(fault);
      });
    }
  }

  /** Nothing new goes wrong, and what is wrong is mended. Machines that are down start as they were going to. */
  end(): void {
    this.#isOver = true;
    for (const mend of this.#ongoing) mend();
  }

  strike(fault: Fault): void {
    const cluster = this.#cluster;
    cluster.trace.add("fault", { note: JSON.stringify(fault) });
    switch (fault.kind) {
      case "crash":
        cluster.crash(this.#machine(fault.target), fault.how, fault.downMs);
        break;
      case "crashAtWrite":
        this.#during(
          Number.POSITIVE_INFINITY,
          cluster.crashAtWrite(this.#machine(fault.target), fault.operations, fault.downMs),
        );
        break;
      case "crashAll":
        if (fault.how === "powerCut") cluster.markers.hit("allMachinesCut");
        for (const { index } of cluster.machines) cluster.crash(index, fault.how, fault.downMs);
        break;
      case "restart":
        // Its end, if it comes, is told by the machine; a shutdown that hangs ends with a later fault or the run.
        void cluster.machine(this.#machine(fault.target)).stop();
        break;
      case "pause":
        this.#pause(this.#machine(fault.target), fault.forMs);
        break;
      case "partition": {
        const leader = cluster.leader()?.index;
        this.cut(linksOf(fault.shape, cluster.machines.length, leader, cluster.random), fault.forMs);
        break;
      }
      case "badLinks":
        cluster.network.setQuality(fault.quality);
        this.#during(fault.forMs, () => cluster.network.setQuality(GOOD_LINKS));
        break;
      case "slowLink": {
        const other = (fault.target + 1) % cluster.machines.length;
        cluster.network.slowLink(fault.target, other, fault.extraMs);
        this.#during(fault.forMs, () => cluster.network.slowLink(fault.target, other, 0));
        break;
      }
      case "resetConnections":
        cluster.machine(this.#machine(fault.target)).disconnect();
        break;
      case "slowDisk": {
        const index = this.#machine(fault.target);
        const { broker, platform } = cluster.machine(index);
        cluster.diskLatencyMs[index] = fault.latencyMs;
        // Where there is data, its files are slow too.
        const slow = {
          kind: "slow",
          operations: ["write", "sync"],
          times: Number.POSITIVE_INFINITY,
        } as const;
        const armed =
          broker === undefined
            ? undefined
            : platform.disk.faults.arm({ ...slow, delayMs: fault.latencyMs / 4 });
        this.#during(fault.forMs, () => {
          cluster.diskLatencyMs[index] = 2;
          armed?.disarm();
        });
        break;
      }
      case "failedWrite": {
        const machine = cluster.machine(this.#machine(fault.target));
        if (machine.node === undefined) break;
        cluster.markers.hit("writeFailed");
        machine.platform.keyValues.failNextBatch(
          `${SimMachine.quorumDirectory}/store`,
          "EIO",
          fault.isApplied,
        );
        break;
      }
      case "failedFile": {
        const { faults } = cluster.machine(this.#machine(fault.target)).platform.disk;
        const armed = faults.arm({ kind: "error", operations: [fault.operation], errno: "EIO" });
        this.#during(Number.POSITIVE_INFINITY, () => {
          armed.disarm();
          cluster.markers.hit("fileFailed", armed.hits);
        });
        break;
      }
      case "fullDisk": {
        const { faults } = cluster.machine(this.#machine(fault.target)).platform.disk;
        const armed = faults.arm({ kind: "full", afterBytes: fault.afterBytes });
        this.#during(fault.forMs, () => {
          armed.disarm();
          if (armed.hits > 0) cluster.markers.hit("diskFilled");
        });
        break;
      }
      case "failingSegments": {
        const { faults } = cluster.machine(this.#machine(fault.target)).platform.disk;
        const { operation, times } = fault;
        const armed = faults.arm({
          kind: "error",
          operations: [operation],
          errno: "EIO",
          times,
          path: isSegment,
        });
        this.#during(fault.forMs, () => {
          armed.disarm();
          cluster.markers.hit("segmentFailed", armed.hits);
        });
        break;
      }
      case "rot":
        this.#rot?.strike(cluster.machine(fault.target), fault.how);
        break;
      case "wallJump":
        cluster.markers.hit("wallClockJumped");
        cluster.machine(fault.target).platform.clock.jumpWall(fault.byMs);
        break;
      case "wipe":
        this.#lose(fault.target, fault.downMs, (machine) => machine.wipe(fault.what));
        break;
      case "damage":
        this.#lose(fault.target, fault.downMs, (machine) => this.#damage(machine));
        break;
    }
  }

  /** Cuts these links for a time. */
  cut(links: Links, forMs: number): void {
    const { network, markers } = this.#cluster;
    markers.hit("partitioned");
    network.cut(links);
    this.#during(forMs, () => network.mend(links));
  }

  #pause(index: number, forMs: number): void {
    const host = this.#cluster.machine(index).host;
    if (host === undefined || host.isPaused) return;
    this.#cluster.markers.hit("processPaused");
    host.pause();
    this.#during(forMs, () => {
      if (host.isAlive) host.resume();
    });
  }

  /** Takes a machine's memory, if the quorum can bear it. */
  #lose(index: number, downMs: number, lose: (machine: SimMachine) => void): void {
    const { safety, trace, checker } = this.#cluster;
    if (!safety.mayLose(index) || checker.logs.onMachine(index) === undefined) return;
    const machine = this.#cluster.machine(index);
    this.#cluster.crash(index, "powerCut", downMs);
    trace.add("storeLost", { from: index });
    lose(machine);
  }

  #damage(machine: SimMachine): void {
    const { checker, random } = this.#cluster;
    const log = checker.logs.onMachine(machine.index);
    if (log === undefined) return;
    const at = log.snapshotIndex + random.below(log.lastIndex - log.snapshotIndex + 1);
    machine.damage(at === log.snapshotIndex ? HEADER_KEY : entryKey(at));
  }

  #machine(target: FaultTarget): number {
    if (target !== "leader") return target;
    const { machines, random } = this.#cluster;
    return this.#cluster.leader()?.index ?? random.below(machines.length);
  }

  /** @param forMs Infinity: until the end of all faults. */
  #during(forMs: number, mend: () => void): void {
    const once = (): void => {
      if (this.#ongoing.delete(once)) mend();
    };
    this.#ongoing.add(once);
    if (Number.isFinite(forMs)) this.#cluster.scheduler.schedule(forMs, once);
  }
}
