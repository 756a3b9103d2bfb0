import type { LogConfig } from "../../src/log/log-config.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { ReplicaFetchers } from "../../src/replication/replica-fetchers.ts";
import { ReplicaSenders } from "../../src/replication/replica-senders.ts";
import type { LeaderReplica, LeaderReplicas, ReplicaRefusal } from "../../src/replication/replica.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import { accepted, append, DATA, machineOn, openLog, TOPIC_ID } from "../log/engine.ts";
import type { Machine } from "../log/engine.ts";
import { Lines, TestFollower, TestLeader } from "./test-replicas.ts";
import { TestWire } from "./test-wire.ts";

export interface Role {
  readonly leader: number;
  readonly epoch: number;
}

/** One broker, as far as replication goes; each start is another process on what the disk kept. */
export class TestNode implements LeaderReplicas {
  readonly id: number;
  readonly lines = new Lines();
  isDown = false;
  clock: SimClock;
  disk: SimDisk;
  machine: Machine;
  senders: ReplicaSenders;
  fetchers: ReplicaFetchers;
  brokerEpoch = 1;
  readonly logs = new Map<number, PartitionLog>();
  readonly leaders = new Map<number, TestLeader>();
  readonly followers = new Map<number, TestFollower>();
  readonly #cluster: ReplicaCluster;

  constructor(id: number, cluster: ReplicaCluster) {
    this.id = id;
    this.#cluster = cluster;
    this.clock = new SimClock({}, { scheduler: cluster.scheduler });
    this.disk = new SimDisk(cluster.options.disk ?? {}, {
      clock: this.clock,
      random: new SeededRandom(id + 1),
    });
    this.machine = machineOn(this.disk, this.clock);
    this.senders = this.#newSenders();
    this.fetchers = this.#newFetchers();
  }

  log(partition: number): PartitionLog {
    const log = this.logs.get(partition);
    if (log === undefined) throw new Error(`node ${this.id} has no log ${partition}`);
    return log;
  }

  leader(partition = 0): TestLeader {
    const leader = this.leaders.get(partition);
    if (leader === undefined) throw new Error(`node ${this.id} does not lead ${partition}`);
    return leader;
  }

  follower(partition = 0): TestFollower {
    const follower = this.followers.get(partition);
    if (follower === undefined) throw new Error(`node ${this.id} does not follow ${partition}`);
    return follower;
  }

  find(_topicId: TopicId, partition: number): Promise<LeaderReplica | ReplicaRefusal> {
    const leader = this.leaders.get(partition);
    const leaderEpoch = (this.followers.get(partition)?.leaderEpoch ?? -1) as LeaderEpoch;
    return Promise.resolve(
      leader ?? { type: "refused", error: "NOT_LEADER_OR_FOLLOWER", message: "not here", leaderEpoch },
    );
  }

  async start(): Promise<void> {
    const { scheduler, options } = this.#cluster;
    await scheduler.settle(this.disk.makeDir(DATA), 1000);
    await scheduler.settle(this.disk.syncDir("/"), 1000);
    for (let partition = 0; partition < (options.partitions ?? 1); partition++) {
      const directory = `${DATA}/t-${partition}`;
      const exists = (await scheduler.settle(this.disk.stat(directory), 1000)) !== undefined;
      const log = openLog(this.machine, options.config ?? {}, { exists }, directory);
      this.logs.set(partition, await scheduler.settle(log, 10_000));
    }
  }

  /** As the metadata says; called again for what it knows already it does nothing. */
  apply(partition: number, { leader, epoch }: Role): void {
    const known = this.leaders.get(partition) ?? this.followers.get(partition);
    if (this.isDown || (known !== undefined && known.leaderEpoch >= epoch)) return;
    this.leaders.get(partition)?.end();
    this.leaders.delete(partition);
    const before = this.followers.get(partition);
    if (before !== undefined) before.isEnded = true;
    this.followers.delete(partition);
    const log = this.log(partition);
    if (leader === this.id) {
      this.fetchers.forget(TOPIC_ID, partition);
      this.leaders.set(partition, new TestLeader(partition, epoch, log, this.#cluster.nodes.length - 1));
      return;
    }
    const follower = new TestFollower(partition, epoch, log);
    this.followers.set(partition, follower);
    this.fetchers.setFollowed(addressOf(leader), follower);
  }

  /** Power cut: the process is gone, of the disk only what was synced is sure to be left. */
  async crash(): Promise<void> {
    this.isDown = true;
    this.clock.stop();
    this.senders.close();
    this.fetchers.close();
    this.#cluster.wire.cutAll((nodes) => nodes.includes(this.id));
    this.leaders.clear();
    this.followers.clear();
    this.logs.clear();
    await this.#cluster.scheduler.advance(5);
    this.clock = new SimClock({}, { scheduler: this.#cluster.scheduler });
    this.disk = this.disk.crash(undefined, {
      clock: this.clock,
      random: new SeededRandom(this.id + this.brokerEpoch * 7),
    });
    const { gapBounds } = this.machine.host;
    this.machine = machineOn(this.disk, this.clock);
    this.machine.host.gapBounds.push(...gapBounds);
    this.brokerEpoch += 1;
    await this.start();
    this.senders = this.#newSenders();
    this.fetchers = this.#newFetchers();
    this.isDown = false;
  }

  #newSenders(): ReplicaSenders {
    const { senderOptions = {} } = this.#cluster.options;
    return new ReplicaSenders(senderOptions, { clock: this.clock, logger: this.lines, replicas: this });
  }

  #newFetchers(): ReplicaFetchers {
    const { windowBytes } = this.#cluster.options;
    return new ReplicaFetchers(windowBytes === undefined ? {} : { windowBytes }, {
      clock: this.clock,
      random: new SeededRandom(this.id + 100),
      logger: this.lines,
      endpoint: this.#cluster.wire.endpointOf(this.id),
      identity: () => ({ nodeId: nodeId(this.id), brokerEpoch: this.brokerEpoch }),
    });
  }
}

export interface ClusterOptions {
  readonly nodes?: number;
  readonly partitions?: number;
  readonly windowBytes?: number;
  readonly senderOptions?: ConstructorParameters<typeof ReplicaSenders>[0];
  readonly config?: Partial<LogConfig>;
  readonly disk?: ConstructorParameters<typeof SimDisk>[0];
}

/** Some nodes that replicate to each other in virtual time. */
export class ReplicaCluster {
  readonly options: ClusterOptions;
  readonly scheduler = new Scheduler({ maxEventsPerRun: 400_000 });
  readonly wire: TestWire;
  readonly nodes: TestNode[];
  readonly roles = new Map<number, Role>();

  private constructor(options: ClusterOptions) {
    this.options = options;
    const byId = new Map<number, TestNode>();
    this.wire = new TestWire(this.scheduler, byId);
    this.nodes = Array.from({ length: options.nodes ?? 2 }, (_, id) => new TestNode(id, this));
    for (const node of this.nodes) byId.set(node.id, node);
  }

  static async start(options: ClusterOptions = {}): Promise<ReplicaCluster> {
    const cluster = new ReplicaCluster(options);
    for (const node of cluster.nodes) await node.start();
    return cluster;
  }

  node(id: number): TestNode {
    const node = this.nodes[id];
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  /** A new epoch; who is not among `hearing` (default: all) does not know of it yet. */
  elect(leader: number, partition = 0, hearing: readonly number[] = this.nodes.map(({ id }) => id)): void {
    const epoch = (this.roles.get(partition)?.epoch ?? 0) + 1;
    this.roles.set(partition, { leader, epoch });
    for (const id of hearing) this.tell(id, partition);
  }

  tell(id: number, partition = 0): void {
    const role = this.roles.get(partition);
    if (role !== undefined) this.node(id).apply(partition, role);
  }

  /** Appends at a node that leads (or believes so). */
  async append(id: number, values: readonly string[], partition = 0): Promise<void> {
    const leader = this.node(id).leader(partition);
    await this.scheduler.settle(accepted(append(leader.log, values, leader.leaderEpoch)).done, 10_000);
  }

  /** All replicas have all that the leader has, and know that it is committed. */
  isCaughtUp(partition = 0): boolean {
    const role = this.roles.get(partition);
    if (role === undefined) return false;
    const leader = this.node(role.leader).leaders.get(partition);
    if (leader === undefined || leader.leaderEpoch !== role.epoch) return false;
    if (leader.ends.size < this.nodes.length - 1) return false;
    const end = leader.log.durableEndOffset;
    if (end !== leader.logEndOffset || leader.highWatermark !== end) return false;
    return this.nodes.every(({ followers, id }) => {
      const follower = followers.get(partition);
      if (id === role.leader) return true;
      return (
        follower?.leaderEpoch === role.epoch &&
        follower.highWatermark === end &&
        follower.logEndOffset === end
      );
    });
  }

  async catchUp(limitMs = 20_000): Promise<void> {
    const partitions = [...this.roles.keys()];
    await this.scheduler.runUntil(() => partitions.every((partition) => this.isCaughtUp(partition)), limitMs);
  }

  /** The bytes of one replica, up to its end or `end`. */
  async bytesOf(id: number, partition = 0, end?: number): Promise<Buffer> {
    const log = this.node(id).log(partition);
    const endOffset = (end ?? log.logEndOffset) as Offset;
    const chunks: Buffer[] = [];
    for (let at = log.logStartOffset; at < endOffset;) {
      const reading = Promise.resolve(log.read(at, 1024 * 1024, { endOffset }));
      const read = await this.scheduler.settle(reading, 10_000);
      if (!read.ok) throw new Error(`${read.error}: ${read.message}`);
      chunks.push(...read.chunks);
      at = read.nextOffset;
    }
    return Buffer.concat(chunks);
  }
}

export function addressOf(id: number): PeerAddress {
  return { nodeId: nodeId(id), directoryId: "", endpoint: `node-${id}:9093` };
}
