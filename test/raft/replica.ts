import { crc32c } from "../../src/base/crc32c.ts";
import { RawNode } from "../../src/raft/raw-node.ts";
import type { RawNodeOptions } from "../../src/raft/raw-node.ts";
import { INITIAL_HARD_STATE } from "../../src/raft/types.ts";
import type {
  Entry,
  HardState,
  LogWrite,
  RaftMessage,
  RaftStatus,
  ReadState,
  ReplicaId,
  SnapshotDescription,
  SnapshotMeta,
  SnapshotWrite,
  VoterSet,
} from "../../src/raft/types.ts";
import { decodeVoters, encodeVoters } from "../../src/raft/voter-set.ts";

/** An id of the tests' replicas. */
export function replicaId(name: string): ReplicaId {
  return name as ReplicaId;
}

/** The voters of these names, each reached at "<name>:1". */
export function voterSet(...names: readonly string[]): VoterSet {
  return names.toSorted().map((name) => ({ id: replicaId(name), endpoint: `${name}:1` }));
}

/** A "voters" entry as the first of a log. */
export function foundingEntry(...names: readonly string[]): Entry {
  return { index: 1, term: 1, kind: "voters", data: encodeVoters(voterSet(...names)) };
}

/** "2/1 noop", "3/1 x", "4/2 voters 1 2": index, term and what is in it. */
export function describeEntry({ index, term, kind, data }: Entry): string {
  const content =
    kind === "data"
      ? data.toString()
      : kind === "noop"
        ? "noop"
        : `voters ${decodeVoters(data)
            .map(({ id }) => id)
            .join(" ")}`;
  return `${index}/${term} ${content}`;
}

interface Stored {
  readonly description: SnapshotDescription;
  readonly content: Buffer;
}

/** What a simulated disk holds. Only what was written to the end is in it. */
export interface SimDisk {
  hardState: HardState;
  /** Behind `snapshot`, possibly beginning earlier in memory only. */
  entries: Entry[];
  snapshot: Stored | undefined;
}

/** What a replica's driver did or was told, for traces and checks. */
export interface ReplicaEvents {
  onSend?(message: RaftMessage): void;
  onWrite?(write: LogWrite): void;
  onApply?(entry: Entry): void;
  onRestore?(meta: SnapshotMeta): void;
  onRead?(state: ReadState): void;
  onSnapshotWrite?(write: SnapshotWrite): void;
}

const NO_SNAPSHOT: SnapshotMeta = { index: 0, term: 0, voters: [] };

/**
 * One RawNode with a disk, a state machine (the list of what was applied) and a driver that does what `ready` asks for.
 * Writes take until `finishWrite` or `finishSnapshotWrite`; a crash before loses them.
 */
export class SimReplica {
  readonly id: ReplicaId;
  readonly disk: SimDisk = { hardState: INITIAL_HARD_STATE, entries: [], snapshot: undefined };
  readonly #options: Omit<RawNodeOptions, "id">;
  readonly #random: (maxExclusive: number) => number;
  readonly #events: ReplicaEvents;
  #node: RawNode | undefined;
  /** In the order of index; what the state machine holds. */
  applied: Entry[] = [];
  /** What the disk will be when the write in progress is done: the node's own log, as far as it has shown it. */
  log: Entry[] = [];
  pendingWrite: LogWrite | undefined;
  pendingSnapshot: SnapshotWrite | undefined;
  #received: Buffer[] = [];
  #damaged: Buffer | undefined;
  #isPumping = false;

  constructor(
    id: string,
    options: Omit<RawNodeOptions, "id">,
    random: (maxExclusive: number) => number,
    events: ReplicaEvents,
  ) {
    this.id = replicaId(id);
    this.#options = options;
    this.#random = random;
    this.#events = events;
  }

  get node(): RawNode {
    if (this.#node === undefined) throw new Error(`replica ${this.id} is down`);
    return this.#node;
  }

  get isUp(): boolean {
    return this.#node !== undefined;
  }

  get status(): RaftStatus {
    return this.node.status();
  }

  start(): void {
    const { snapshot, entries, hardState } = this.disk;
    this.applied = snapshot === undefined ? [] : parseState(snapshot.content);
    this.log = [...entries];
    this.#node = new RawNode(
      { ...this.#options, id: this.id },
      { hardState, snapshot: snapshot?.description ?? NO_SNAPSHOT, entries },
      { random: this.#random },
    );
    if (snapshot !== undefined) this.#node.snapshotCreated(snapshot.description, 0);
    this.pump();
  }

  /** The process dies. What was not written to the end is gone. */
  crash(): void {
    this.#node = undefined;
    this.pendingWrite = undefined;
    this.pendingSnapshot = undefined;
    this.#received = [];
  }

  /** One input to the node, and then everything it asks for. */
  input<T>(give: (node: RawNode) => T): T {
    const result = give(this.node);
    this.pump();
    return result;
  }

  /** Does what `ready` asks for until it asks no more. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let ready = this.node.ready(); ready !== undefined; ready = this.node.ready()) {
      if (ready.write !== undefined) this.#handWrite(ready.write);
      for (const entry of ready.committed) this.#apply(entry);
      for (const message of ready.messages) this.#events.onSend?.(message);
      for (const { request, maxBytes } of ready.snapshotReads) {
        const stored = this.disk.snapshot;
        // Only the newest is kept: a read of an older one is left out.
        if (stored?.description.index !== request.snapshot.index) continue;
        const data = stored.content.subarray(request.position, request.position + maxBytes);
        this.#events.onSend?.({ ...request, data });
      }
      if (ready.snapshotWrite !== undefined) {
        this.pendingSnapshot = ready.snapshotWrite;
        this.#events.onSnapshotWrite?.(ready.snapshotWrite);
      }
      for (const state of ready.readStates) this.#events.onRead?.(state);
    }
    this.#isPumping = false;
  }

  finishWrite(): boolean {
    const write = this.pendingWrite;
    if (write === undefined) return false;
    this.pendingWrite = undefined;
    this.disk.hardState = write.hardState;
    this.disk.entries = written(this.disk.entries, write);
    this.input((node) => {
      node.written();
    });
    return true;
  }

  /** The received chunk is on the disk, or the whole snapshot in place. */
  finishSnapshotWrite(): boolean {
    const write = this.pendingSnapshot;
    if (write === undefined) return false;
    this.pendingSnapshot = undefined;
    const { snapshot, position, data } = write.request;
    if (position === 0) this.#received = [];
    this.#received.push(this.#damaged ?? data);
    this.#damaged = undefined;
    if (!write.isLast) {
      this.input((node) => {
        node.snapshotChunkWritten(write.request);
      });
      return true;
    }
    const content = Buffer.concat(this.#received);
    if (crc32c(content) !== snapshot.checksum || content.length !== snapshot.sizeBytes) {
      this.input((node) => {
        node.snapshotDamaged();
      });
      return true;
    }
    this.disk.snapshot = { description: snapshot, content };
    const isKept = this.disk.entries.some(
      ({ index, term }) => index === snapshot.index && term === snapshot.term,
    );
    this.disk.entries = isKept ? this.disk.entries.filter(({ index }) => index > snapshot.index) : [];
    this.log = [...this.disk.entries];
    this.applied = parseState(content);
    this.#events.onRestore?.(snapshot);
    this.input((node) => {
      node.snapshotInstalled(snapshot);
    });
    return true;
  }

  /** The chunk in progress reaches the disk as `data`. */
  damage(data: Buffer): void {
    const write = this.pendingSnapshot;
    if (write === undefined) throw new Error(`replica ${this.id} receives no chunk`);
    this.#damaged = data;
  }

  /** Makes a durable snapshot of everything applied. False when there is nothing new. */
  snapshot(keepEntries: number): boolean {
    const last = this.applied.at(-1);
    if (last === undefined || last.index <= (this.disk.snapshot?.description.index ?? 0)) return false;
    const content = Buffer.from(
      JSON.stringify(this.applied.map((entry) => ({ ...entry, data: [...entry.data] }))),
    );
    const sets = this.applied.filter(({ kind }) => kind === "voters").map(({ data }) => decodeVoters(data));
    const description = {
      index: last.index,
      term: last.term,
      voters: sets.at(-1) ?? [],
      sizeBytes: content.length,
      checksum: crc32c(content),
    };
    this.disk.snapshot = { description, content };
    this.disk.entries = this.disk.entries.filter(({ index }) => index > last.index);
    this.input((node) => {
      node.snapshotCreated(description, keepEntries);
    });
    return true;
  }

  #handWrite(write: LogWrite): void {
    if (this.pendingWrite !== undefined) throw new Error(`replica ${this.id} has two writes at once`);
    if (this.pendingSnapshot?.isLast === true) throw new Error(`replica ${this.id} writes while it installs`);
    this.pendingWrite = write;
    this.log = written(this.log, write);
    this.#events.onWrite?.(write);
  }

  #apply(entry: Entry): void {
    const expected = (this.applied.at(-1)?.index ?? 0) + 1;
    if (entry.index !== expected)
      throw new Error(`replica ${this.id} applies ${entry.index}, not ${expected}`);
    this.applied.push(entry);
    this.#events.onApply?.(entry);
  }
}

/** The entries after a write. A gap would be a write that no disk can do. */
function written(entries: readonly Entry[], write: LogWrite): Entry[] {
  const { truncateAfter } = write;
  const kept =
    truncateAfter === undefined ? [...entries] : entries.filter(({ index }) => index <= truncateAfter);
  const last = kept.at(-1);
  const first = write.entries[0];
  if (last !== undefined && first !== undefined && first.index !== last.index + 1) {
    throw new Error(`a write at ${first.index} behind ${last.index}`);
  }
  return [...kept, ...write.entries];
}

function parseState(content: Buffer): Entry[] {
  const parsed = JSON.parse(content.toString()) as (Omit<Entry, "data"> & { readonly data: number[] })[];
  return parsed.map((entry) => ({ ...entry, data: Buffer.from(entry.data) }));
}
