import { crc32c } from "../../base/crc32c.ts";
import { asBuffer } from "../../base/bytes.ts";
import type { KeyValueOperation } from "../../platform/key-value.ts";
import { replicaIdOf } from "../../quorum/replica-id.ts";
import { HEADER_KEY, indexOfKey, parseEntry, parseHeader } from "../../quorum/store-format.ts";
import type { LogPosition, StoreHeader } from "../../quorum/store-format.ts";
import type { EntryKind, ReplicaId } from "../../raft/types.ts";
import { mustHold } from "./violation.ts";

/** An entry that a power cut would leave. */
export interface DurableEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly data: Buffer;
  /** Of kind and data. */
  readonly hash: number;
}

/** What a batch did to a log. */
export interface DurableChange {
  readonly log: DurableLog;
  readonly appended: readonly DurableEntry[];
  readonly isTruncated: boolean;
}

/**
 * What one replica has on its disk, followed batch by batch as the simulated store makes them durable: not what the node
 * says it has. It outlives the replica, so that what once was durable can be told.
 */
export class DurableLog {
  readonly id: ReplicaId;
  readonly machine: number;
  /** Its disk was wiped or damaged: this replica will not come back. */
  isLost = false;
  #header: StoreHeader;
  #entries = new Map<number, DurableEntry>();
  #positions = new Map<number, LogPosition>();

  constructor(machine: number, header: StoreHeader) {
    this.id = idOf(header);
    this.machine = machine;
    this.#header = header;
  }

  get term(): number {
    return this.#header.hardState.term;
  }

  get vote(): ReplicaId | undefined {
    return this.#header.hardState.vote;
  }

  get lastIndex(): number {
    return this.#header.last.index;
  }

  get snapshotIndex(): number {
    return this.#header.snapshot.index;
  }

  entry(index: number): DurableEntry | undefined {
    return this.#entries.get(index);
  }

  /** Undefined where the log has no entry, or only a snapshot over it. */
  termAt(index: number): number | undefined {
    const { snapshot } = this.#header;
    return index === snapshot.index ? snapshot.term : this.#entries.get(index)?.term;
  }

  /** Whether the entry is there, as itself or in a snapshot. */
  has(index: number, term: number): boolean {
    return index < this.snapshotIndex || this.termAt(index) === term;
  }

  /** Takes in a batch. */
  apply(header: StoreHeader, operations: readonly KeyValueOperation[]): DurableChange {
    const before = this.lastIndex;
    this.#header = header;
    this.#positions.set(header.snapshot.index, header.snapshot);
    let isTruncated = header.last.index < before && header.last.index >= header.snapshot.index;
    const appended: DurableEntry[] = [];
    for (const operation of operations) {
      const index = indexOfKey(operation.key);
      if (index === undefined || operation.type === "delete" || index > header.last.index) continue;
      const entry = this.#parse(index, operation.value);
      const old = this.#entries.get(index);
      if (old !== undefined && old.term !== entry.term) isTruncated = true;
      this.#entries.set(index, entry);
      appended.push(entry);
    }
    for (let index = header.last.index + 1; index <= before; index++) this.#entries.delete(index);
    for (const index of this.#entries.keys()) {
      if (index > header.snapshot.index) break;
      this.#entries.delete(index);
    }
    return { log: this, appended, isTruncated };
  }

  #parse(index: number, value: Uint8Array): DurableEntry {
    const at = this.#positions.get(index - 1);
    const parsed = parseEntry(at ?? { index: index - 1, term: 0, chain: 0 }, asBuffer(value));
    mustHold(parsed.ok, "DurableLogIsWhole", "an entry does not follow from the one before it", () => ({
      replica: this.id,
      index,
      parsed,
    }));
    const { entry, position } = parsed.value;
    this.#positions.set(index, position);
    return { ...entry, hash: contentHash(entry.kind, entry.data) };
  }
}

/** Follows the stores of all machines. */
export class DurableLogs {
  readonly #byId = new Map<ReplicaId, DurableLog>();
  readonly #current = new Map<number, DurableLog>();

  of(id: ReplicaId): DurableLog | undefined {
    return this.#byId.get(id);
  }

  /** The replica whose store the machine has now. */
  onMachine(machine: number): DurableLog | undefined {
    return this.#current.get(machine);
  }

  all(): Iterable<DurableLog> {
    return this.#byId.values();
  }

  /** The machine's replica is gone with its store. */
  lost(machine: number): void {
    const log = this.#current.get(machine);
    if (log !== undefined) log.isLost = true;
    this.#current.delete(machine);
  }

  /** A batch of a store became durable; undefined when it is not about the log (only old keys go). */
  apply(machine: number, operations: readonly KeyValueOperation[]): DurableChange | undefined {
    const put = operations.find(({ key }) => key.byteLength === 1 && key[0] === HEADER_KEY[0]);
    if (put?.type !== "put") return undefined;
    const parsed = parseHeader(asBuffer(put.value));
    mustHold(parsed.ok, "DurableLogIsWhole", "a header cannot be read", () => ({ machine, parsed }));
    const id = idOf(parsed.value);
    let log = this.#byId.get(id);
    if (log === undefined) {
      log = new DurableLog(machine, parsed.value);
      this.#byId.set(id, log);
    }
    const previous = this.#current.get(machine);
    if (previous !== undefined && previous !== log) previous.isLost = true;
    this.#current.set(machine, log);
    return log.apply(parsed.value, operations);
  }
}

/** Of what an entry says, without its place. */
export function contentHash(kind: EntryKind, data: Uint8Array): number {
  return crc32c(data, kind.length);
}

function idOf(header: StoreHeader): ReplicaId {
  return replicaIdOf(header.identity.nodeId, header.identity.directoryId);
}
