import { assertNever } from "../../base/assert.ts";
import type { ServerAssignor } from "./assignor.ts";
import { ClassicGroup } from "./classic-group.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import { GroupDeadlines, UNQUEUED, type HasDeadline } from "./group-deadlines.ts";
import type { GroupEffects, GroupRecord } from "./group-records.ts";
import type { GroupOptions } from "./group.ts";
import { GroupOffsets } from "./offsets.ts";

/** What a shard keeps under one group id: a group of either protocol, or none, and what it has committed. */
export interface GroupEntry extends HasDeadline {
  readonly groupId: string;
  /** Undefined for a group that only commits offsets. */
  group: ClassicGroup | ConsumerGroup | undefined;
  /** The log has records of the group, so that it takes tombstones to forget it. */
  isGroupInLog: boolean;
  readonly offsets: GroupOffsets;
}

type OffsetRecord = Extract<GroupRecord, { type: "offset" }>;
type ConsumerRecord = Exclude<GroupRecord, { type: "offset" | "classicGroup" }>;

/**
 * All groups of a shard, with who has offsets of which topic and whose deadline is next. Replay is its only source of
 * replicated state. An entry that has neither a group nor offsets does not stay.
 */
export class GroupTable {
  readonly deadlines = new GroupDeadlines<GroupEntry>();
  readonly #entries = new Map<string, GroupEntry>();
  readonly #topics = new Map<string, Set<GroupEntry>>();
  readonly #options: GroupOptions;
  readonly #assignors: readonly ServerAssignor[];
  #replayed = 0;

  constructor(options: GroupOptions, deps: { readonly assignors: readonly ServerAssignor[] }) {
    this.#options = options;
    this.#assignors = deps.assignors;
  }

  /** Groups, those that only have offsets included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Records that were replayed so far. */
  get replayed(): number {
    return this.#replayed;
  }

  get(groupId: string): GroupEntry | undefined {
    return this.#entries.get(groupId);
  }

  /** May be walked while entries come and go. */
  entries(): MapIterator<GroupEntry> {
    return this.#entries.values();
  }

  /** Which groups have offsets of a topic. */
  get topics(): ReadonlyMap<string, ReadonlySet<GroupEntry>> {
    return this.#topics;
  }

  /** The classic group of this id. An empty group of the other protocol makes room, and leaves its offsets. */
  enterClassic(groupId: string, effects: GroupEffects): ClassicGroup {
    const known = this.get(groupId)?.group;
    if (known instanceof ConsumerGroup) known.remove(effects);
    return this.#classicGroup(groupId);
  }

  /** The consumer group of this id. An empty group of the other protocol makes room, and leaves its offsets. */
  enterConsumer(groupId: string, effects: GroupEffects): ConsumerGroup {
    const known = this.get(groupId)?.group;
    if (known instanceof ClassicGroup) known.remove(effects);
    return this.#consumerGroup(groupId);
  }

  /** The entry of this id, a new one if need be. A new one is to get offsets at once, or to be given to `dropBare`. */
  obtain(groupId: string): GroupEntry {
    let entry = this.#entries.get(groupId);
    if (entry === undefined) {
      const offsets = new GroupOffsets(groupId);
      entry = { ...UNQUEUED, groupId, group: undefined, isGroupInLog: false, offsets };
      this.#entries.set(groupId, entry);
    }
    return entry;
  }

  /** Forgets an entry that holds nothing. */
  dropBare(entry: GroupEntry): void {
    if (entry.group !== undefined || entry.offsets.size > 0) return;
    if (this.#entries.get(entry.groupId) === entry) this.#entries.delete(entry.groupId);
  }

  /** Forgets a group that nobody is in and of which nothing is in the log (H62). Its offsets stay. */
  dropUnused(entry: GroupEntry): void {
    if (!entry.isGroupInLog && entry.group?.isEmpty === true) this.#dropGroup(entry);
  }

  #dropGroup(entry: GroupEntry): void {
    entry.group = undefined;
    entry.isGroupInLog = false;
    this.deadlines.remove(entry);
    this.dropBare(entry);
  }

  /** Takes a record of the log, or of a decision. */
  replay(record: GroupRecord): void {
    this.#replayed++;
    switch (record.type) {
      case "offset":
        this.#replayOffset(record);
        break;
      case "classicGroup":
        if (record.value === null) this.#endGroup(record.groupId, ClassicGroup);
        else this.#inLog(this.#classicGroup(record.groupId)).replay(record.value);
        break;
      case "consumerGroup":
      case "member":
      case "targetEpoch":
      case "targetMember":
      case "currentMember":
        this.#replayConsumer(record);
        break;
      default:
        assertNever(record);
    }
  }

  #replayOffset({ groupId, topic, partition, value }: OffsetRecord): void {
    const entry = value === null ? this.#entries.get(groupId) : this.obtain(groupId);
    const change = entry?.offsets.replay(topic, partition, value);
    if (entry === undefined || change === undefined) return;
    const users = this.#topics.get(topic);
    if (change === "added") {
      if (users === undefined) this.#topics.set(topic, new Set([entry]));
      else users.add(entry);
      return;
    }
    users?.delete(entry);
    if (users?.size === 0) this.#topics.delete(topic);
    this.dropBare(entry);
  }

  #replayConsumer(record: ConsumerRecord): void {
    if (record.value !== null) {
      this.#inLog(this.#consumerGroup(record.groupId)).replay(record);
      return;
    }
    // A tombstone that outlived its group, or that clears the way for the other protocol, has nobody to tell.
    const known = this.get(record.groupId)?.group;
    if (!(known instanceof ConsumerGroup)) return;
    known.replay(record);
    if (record.type === "consumerGroup") this.#endGroup(record.groupId, ConsumerGroup);
  }

  #endGroup(groupId: string, type: typeof ClassicGroup | typeof ConsumerGroup): void {
    const entry = this.get(groupId);
    if (entry?.group instanceof type) this.#dropGroup(entry);
  }

  #inLog<T extends ClassicGroup | ConsumerGroup>(group: T): T {
    this.obtain(group.groupId).isGroupInLog = true;
    return group;
  }

  /** The log's order is the truth: a record of one protocol ends a group of the other. */
  #classicGroup(groupId: string): ClassicGroup {
    const entry = this.obtain(groupId);
    if (entry.group instanceof ClassicGroup) return entry.group;
    const group = new ClassicGroup(groupId, this.#options);
    entry.group = group;
    return group;
  }

  #consumerGroup(groupId: string): ConsumerGroup {
    const entry = this.obtain(groupId);
    if (entry.group instanceof ConsumerGroup) return entry.group;
    const group = new ConsumerGroup(groupId, this.#options, { assignors: this.#assignors });
    entry.group = group;
    return group;
  }
}
