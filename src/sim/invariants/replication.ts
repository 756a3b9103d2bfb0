import type { Broker } from "../../broker/broker.ts";
import type { Partition } from "../../broker/partition.ts";
import type { PartitionImage } from "../../metadata/image.ts";
import type { NodeId, TopicId } from "../../model/ids.ts";
import type { LeaderEpoch, Offset } from "../../model/offsets.ts";
import type { MarkerCounts } from "../markers.ts";
import type { SegmentRot } from "../segment-rot.ts";
import type { MetadataModel } from "./metadata-model.ts";
import { mustHold } from "./violation.ts";

/** A machine, with the broker of its living process. */
export interface WatchedMachine {
  readonly nodeId: NodeId;
  readonly broker: Broker | undefined;
}

/** What all leaders together have shown of a partition. */
interface Exposed {
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId;
  /** Highest high watermark of any leader, and the epoch of the record below it, if that is known. */
  endOffset: Offset;
  lastEpoch: LeaderEpoch | undefined;
  readonly leaders: Map<number, NodeId>;
  image: PartitionImage | undefined;
  isDirty: boolean;
}

/** What was seen of a partition in one process at the last look. */
interface Look {
  highWatermark: Offset;
  durableEndOffset: Offset;
  isDamaged: boolean;
}

/**
 * Holds after each event what the TLA+ models of Kafka's replication ask for, against the committed metadata and the
 * logs of all brokers: high watermarks never go back (H36), one leader in an epoch, and StrongIsr: whatever any leader
 * has exposed below its high watermark is on every member of the controller's ISR.
 */
export class ReplicationWatch {
  readonly #machines: readonly WatchedMachine[];
  readonly #model: MetadataModel;
  readonly #markers: MarkerCounts;
  readonly #rot: SegmentRot;
  readonly #exposed = new Map<string, Exposed>();
  /** Brokers that have been seen running: from then on they are what the controller takes them for. */
  readonly #joined = new WeakSet<Broker>();
  readonly #looks = new WeakMap<Partition, Look>();
  #modelOffset = 0;

  constructor(deps: {
    readonly machines: readonly WatchedMachine[];
    readonly model: MetadataModel;
    readonly markers: MarkerCounts;
    readonly rot: SegmentRot;
  }) {
    this.#machines = deps.machines;
    this.#model = deps.model;
    this.#markers = deps.markers;
    this.#rot = deps.rot;
  }

  /** After an event. @throws InvariantViolation. */
  look(): void {
    for (const { nodeId, broker } of this.#machines) {
      if (broker === undefined) continue;
      if (broker.state === "running" && !this.#joined.has(broker)) this.#join(broker);
      for (const partition of broker.partitions) {
        if (partition.isReplicated && !partition.isRemoved) this.#lookAt(nodeId, broker, partition);
      }
    }
    if (this.#model.offset !== this.#modelOffset) {
      this.#modelOffset = this.#model.offset;
      for (const exposed of this.#exposed.values()) this.#follow(exposed);
    }
    for (const exposed of this.#exposed.values()) {
      if (exposed.isDirty) this.#checkIsr(exposed);
      exposed.isDirty = false;
    }
  }

  /** A client was told that all below is committed. */
  acknowledged(name: string, endOffset: number): void {
    const exposed = this.#named(name);
    mustHold(
      exposed !== undefined && exposed.endOffset >= endOffset,
      "AcknowledgedIsCommitted",
      "acks=all was answered for what no leader's high watermark has passed",
      () => ({ name, endOffset, highWatermark: exposed?.endOffset }),
    );
  }

  /** Whatever ISR it is in, it is in with what its disk kept. */
  #join(broker: Broker): void {
    this.#joined.add(broker);
    for (const exposed of this.#exposed.values()) exposed.isDirty = true;
  }

  #named(name: string): Exposed | undefined {
    for (const exposed of this.#exposed.values()) if (exposed.name === name) return exposed;
    return undefined;
  }

  #lookAt(nodeId: NodeId, broker: Broker, partition: Partition): void {
    const { highWatermark, leaderRole } = partition;
    const log = broker.storage.get(partition);
    const durableEndOffset = log?.durableEndOffset ?? (0 as Offset);
    const before = this.#looks.get(partition);
    if (before === undefined) {
      this.#looks.set(partition, { highWatermark, durableEndOffset, isDamaged: partition.isDamaged });
    } else {
      mustHold(
        // What damage has taken is not served.
        highWatermark >= before.highWatermark || partition.isDamaged,
        "HighWatermarkNeverBack",
        "a high watermark went back",
        () => ({ node: nodeId, name: nameOf(partition), from: before.highWatermark, to: highWatermark }),
      );
      if (durableEndOffset < before.durableEndOffset) {
        this.#markers.hit("followerTruncated");
        this.#of(partition).isDirty = true;
      }
      if (before.isDamaged && !partition.isDamaged) this.#markers.hit("replicaRepaired");
      before.isDamaged = partition.isDamaged;
      before.highWatermark = highWatermark;
      before.durableEndOffset = durableEndOffset;
    }
    if (leaderRole !== undefined) this.#lead(nodeId, partition, leaderRole.leaderEpoch);
    // Of followers too: they repeat what a leader said whose role may have ended in this very event.
    // A victim of rot may have cut its log in that event, too.
    const isCut = log === undefined || log.logEndOffset < highWatermark;
    if (!isCut) this.#expose(partition, highWatermark, log.epochForOffset((highWatermark - 1) as Offset));
    else if (this.#rot.isVictim(partition, nodeId)) this.#expose(partition, highWatermark, undefined);
  }

  #lead(nodeId: NodeId, partition: Partition, leaderEpoch: number): void {
    const { leaders, name } = this.#of(partition);
    const known = leaders.get(leaderEpoch);
    if (known === nodeId) return;
    mustHold(known === undefined, "OneLeaderPerEpoch", "two leaders in one leader epoch", () => ({
      name,
      leaderEpoch,
      leaders: [known, nodeId],
    }));
    leaders.set(leaderEpoch, nodeId);
    if (leaders.size > 1) this.#markers.hit("partitionLeaderChanged");
  }

  #expose(partition: Partition, highWatermark: Offset, lastEpoch: LeaderEpoch | undefined): void {
    const exposed = this.#of(partition);
    if (highWatermark <= exposed.endOffset) return;
    exposed.endOffset = highWatermark;
    exposed.lastEpoch = lastEpoch;
    exposed.isDirty = true;
  }

  #of(partition: Partition): Exposed {
    const key = `${partition.topicId}-${partition.partition}`;
    let exposed = this.#exposed.get(key);
    if (exposed === undefined) {
      const { topic, partition: number, topicId } = partition;
      exposed = {
        name: nameOf(partition),
        topic,
        partition: number,
        topicId,
        endOffset: 0 as Offset,
        lastEpoch: undefined,
        leaders: new Map(),
        image: undefined,
        isDirty: true,
      };
      this.#exposed.set(key, exposed);
      this.#follow(exposed);
    }
    return exposed;
  }

  /** Takes the partition as it is committed now. */
  #follow(exposed: Exposed): void {
    const before = exposed.image;
    const image = this.#model.image.topicById(exposed.topicId)?.partitions[exposed.partition];
    if (image === before) return;
    exposed.image = image;
    exposed.isDirty = true;
    if (before === undefined || image === undefined) return;
    if (image.isr.length < before.isr.length) this.#markers.hit("isrShrank");
    if (image.isr.length > before.isr.length) this.#markers.hit("isrGrew");
  }

  /** StrongIsr. Who has come back and is not registered yet is not one of the ISR for long. */
  #checkIsr({ name, topic, partition, endOffset, lastEpoch, image }: Exposed): void {
    if (image === undefined || endOffset === 0) return;
    for (const member of image.isr) {
      const broker = this.#machines.find(({ nodeId }) => nodeId === member)?.broker;
      if (broker?.state !== "running" || broker.storage.isOffline) continue;
      const log = broker.storage.get({ topic, partition });
      const isWhole = log?.state === "open" && log.damage === undefined;
      // It has lost something to its disk, and is about to say so.
      if (!isWhole && this.#rot.isVictim({ topic, partition }, member)) continue;
      const end = log?.durableEndOffset ?? broker.storage.ends({ topic, partition })?.logEndOffset;
      // Its disk does not let it look.
      if (end === undefined) continue;
      mustHold(end >= endOffset, "StrongIsr", "a member of the ISR lacks what is committed", () => ({
        name,
        member,
        end,
        committed: endOffset,
        isr: image.isr,
        leader: image.leader,
        leaderEpoch: image.leaderEpoch,
      }));
      const epoch = log?.epochForOffset((endOffset - 1) as Offset);
      mustHold(
        epoch === undefined || lastEpoch === undefined || epoch === lastEpoch,
        "StrongIsr",
        "a member of the ISR has another record where one is committed",
        () => ({ name, member, offset: endOffset - 1, epochs: [epoch, lastEpoch] }),
      );
    }
  }
}

function nameOf({ topic, partition }: Partition): string {
  return `${topic}-${partition}`;
}
