import { assert } from "../base/assert.ts";
import { asBuffer } from "../base/bytes.ts";
import { SerialQueue } from "../base/serial-queue.ts";
import type { KeyValueOperation, KeyValueStore } from "../platform/key-value.ts";
import type { Entry, HardState, LogWrite } from "../raft/types.ts";
import { INITIAL_HARD_STATE } from "../raft/types.ts";
import { corruptError, wrapped } from "./quorum-error.ts";
import type { Parsed } from "./sealed.ts";
import {
  encodeEntry,
  encodeHeader,
  entryKey,
  HEADER_KEY,
  indexOfKey,
  LOG_START,
  parseEntry,
  parseHeader,
} from "./store-format.ts";
import type { LogPosition, StoreHeader, StoreIdentity } from "./store-format.ts";

/** What a store held when it was opened: verified from the snapshot to the last entry. */
export interface StoreContent {
  readonly identity: StoreIdentity;
  readonly hardState: HardState;
  /** Index 0: none yet. */
  readonly snapshot: { readonly index: number; readonly term: number };
  /** All behind the snapshot. */
  readonly entries: readonly Entry[];
}

/** A cluster's first entry, and its name. */
export interface Foundation {
  readonly clusterId: string;
  readonly entry: Entry;
}

/** Deletions of a dropped prefix in one unsynced batch. */
const DELETE_BATCH = 4096;
/** Calls that may wait for the one being written. The quorum has a handful. */
const MAX_WAITING = 64;

/**
 * The Raft log, hard state and identity of one replica in a key-value store (format: `store-format`). One writer; one
 * synced batch for each change, with the header in it, so that a crash leaves all or nothing of it (H11, H12). After a
 * failed write every later one fails too: only a restart tells what is on the disk (H15).
 */
export class RaftStore {
  readonly #path: string;
  readonly #store: KeyValueStore;
  readonly #writer = new SerialQueue({ maxWaiting: MAX_WAITING });
  #identity: StoreIdentity | undefined;
  #hardState: HardState = INITIAL_HARD_STATE;
  /** Positions from the snapshot's to the last entry's. */
  #positions: LogPosition[] = [LOG_START];
  /** The lowest index that may still have a key. */
  #firstStored = 1;
  #failure: Error | undefined;

  private constructor(path: string, store: KeyValueStore) {
    this.#path = path;
    this.#store = store;
  }

  /** Takes over an open store and reads it; `content` is undefined when there is nothing in it. @throws METADATA_CORRUPT. */
  static async load(
    path: string,
    store: KeyValueStore,
  ): Promise<{ readonly store: RaftStore; readonly content: StoreContent | undefined }> {
    const loaded = new RaftStore(path, store);
    return { store: loaded, content: await loaded.#load() };
  }

  /** As it is on the disk. */
  get identity(): StoreIdentity {
    return this.#owner;
  }

  /** Position of the last durable entry; the snapshot's when there is none behind it. */
  get last(): { readonly index: number; readonly term: number } {
    return this.#last;
  }

  /** The hard state on the disk. */
  get hardState(): HardState {
    return this.#hardState;
  }

  /** Term of a durable entry at or behind the snapshot; undefined elsewhere. */
  termAt(index: number): number | undefined {
    return this.#positions[index - this.#base.index]?.term;
  }

  /** Makes an empty store this replica's. */
  create(identity: StoreIdentity): Promise<void> {
    return this.#change(() => {
      assert(this.#identity === undefined, "a store has one owner");
      return { identity };
    });
  }

  /** The replica belongs to this cluster from now on. */
  joinCluster(clusterId: string): Promise<void> {
    return this.#change(() => ({ identity: { ...this.#owner, clusterId } }));
  }

  /** The first entry of a new cluster and its name, together. */
  found({ clusterId, entry }: Foundation): Promise<void> {
    return this.#change(() => {
      assert(this.#last.index === 0, "a cluster is founded on an empty log", { ...this.#last });
      const { value, position } = encodeEntry(LOG_START, entry);
      return {
        identity: { ...this.#owner, clusterId },
        operations: [{ type: "put", key: entryKey(entry.index), value }],
        added: [position],
        hardState: { term: entry.term, vote: undefined, commit: 0 },
      };
    });
  }

  /** Entries at or before the snapshot are there already and are left out; the first of the others ends what stays. */
  write(write: LogWrite): Promise<void> {
    return this.#change(() => {
      const base = this.#base.index;
      const entries = write.entries.filter(({ index }) => index > base);
      const first = entries[0]?.index ?? Number.POSITIVE_INFINITY;
      const keptTo = Math.max(
        base,
        Math.min(write.truncateAfter ?? this.#last.index, first - 1, this.#last.index),
      );
      const operations: KeyValueOperation[] = [];
      const added: LogPosition[] = [];
      let last = this.#positionAt(keptTo);
      for (const entry of entries) {
        assert(entry.index === last.index + 1, "the log has no gaps", {
          index: entry.index,
          last: last.index,
        });
        const { value, position } = encodeEntry(last, entry);
        last = position;
        added.push(position);
        operations.push({ type: "put", key: entryKey(entry.index), value });
      }
      for (const deletion of deletions(last.index + 1, this.#last.index + 1)) operations.push(deletion);
      const { term, vote, commit } = write.hardState;
      // The commit index may run ahead of this disk; after a restart the leader tells it again.
      return { operations, keptTo, added, hardState: { term, vote, commit: Math.min(commit, last.index) } };
    });
  }

  /**
   * A durable snapshot takes the place of the log up to it: recorded first, the prefix deleted afterwards (H9). Entries
   * behind it stay if the one at its index is the same, else none does. Does nothing when a later one is recorded.
   */
  async recordSnapshot(snapshot: { readonly index: number; readonly term: number }): Promise<void> {
    await this.#change(() => {
      const at = snapshot.index - this.#base.index;
      if (at <= 0) return undefined;
      const { term, vote, commit } = this.#hardState;
      const hardState: HardState = {
        // What a snapshot holds is committed; and its term has been, if this disk was not told yet.
        term: Math.max(term, snapshot.term),
        vote: snapshot.term > term ? undefined : vote,
        commit: Math.max(commit, snapshot.index),
      };
      if (this.#positions[at]?.term === snapshot.term)
        return { base: this.#positionAt(snapshot.index), hardState };
      const base = { ...snapshot, chain: 0 };
      return {
        base,
        keptTo: snapshot.index,
        operations: deletions(snapshot.index + 1, this.#last.index + 1),
        hardState,
      };
    });
    await this.#writer.run(() => this.#deletePrefix());
  }

  /** Finishes the write in progress. Idempotent. */
  async close(): Promise<void> {
    await this.#writer.close();
    await this.#store.close();
  }

  get #base(): LogPosition {
    const [first] = this.#positions;
    assert(first !== undefined, "a log has a start");
    return first;
  }

  get #last(): LogPosition {
    return lastOf(this.#positions);
  }

  get #owner(): StoreIdentity {
    assert(this.#identity !== undefined, "a store is written by its owner");
    return this.#identity;
  }

  #positionAt(index: number): LogPosition {
    const position = this.#positions[index - this.#base.index];
    assert(position !== undefined, "a position of the log is known", { index, base: this.#base.index });
    return position;
  }

  /** One synced batch: what `plan` says, and the header. State follows when it is durable. */
  #change(plan: () => Change | undefined): Promise<void> {
    return this.#writer.run(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      const change = plan();
      if (change === undefined) return;
      const { identity = this.#owner, operations = [], base = this.#base, added = [] } = change;
      const { keptTo = this.#last.index, hardState = this.#hardState } = change;
      const last = added.at(-1) ?? (keptTo <= base.index ? base : this.#positionAt(keptTo));
      const header = encodeHeader({ identity, hardState, snapshot: base, last });
      try {
        await this.#store.batch([...operations, { type: "put", key: HEADER_KEY, value: header }], {
          sync: true,
        });
      } catch (error: unknown) {
        this.#failure = wrapped("the Raft store could not be written", error);
        throw this.#failure;
      }
      this.#identity = identity;
      this.#hardState = hardState;
      this.#moveTo(base, keptTo, added);
    });
  }

  #moveTo(base: LogPosition, keptTo: number, added: readonly LogPosition[]): void {
    this.#positions.length = Math.min(this.#positions.length, keptTo - this.#base.index + 1);
    for (const position of added) this.#positions.push(position);
    if (base.index === this.#base.index) return;
    this.#positions = [base, ...this.#positions.slice(base.index - this.#base.index + 1)];
  }

  async #deletePrefix(): Promise<void> {
    const end = this.#base.index + 1;
    const from = this.#firstStored;
    if (from >= end) return;
    for (let at = from; at < end; at += DELETE_BATCH) {
      // Nobody reads them any more, so the next synced batch makes it durable early enough.
      await this.#store.batch(deletions(at, Math.min(end, at + DELETE_BATCH)), { sync: false });
    }
    this.#firstStored = end;
    await this.#store.compactRange({ from: entryKey(from), to: entryKey(end) });
  }

  async #load(): Promise<StoreContent | undefined> {
    let header: StoreHeader | undefined;
    let firstStored: number | undefined;
    const entries: Entry[] = [];
    for await (const [key, value] of this.#store.scan({})) {
      if (key.byteLength === 1 && key[0] === HEADER_KEY[0]) {
        header = this.#checked(parseHeader(value), "its header");
        this.#positions = [header.snapshot];
        continue;
      }
      const index = indexOfKey(key);
      if (index === undefined) throw this.#corrupt("a key of it is not ours", {});
      if (header === undefined) throw this.#corrupt("its header is missing", {});
      firstStored ??= index;
      if (index <= header.snapshot.index || index > header.last.index) continue;
      const expected = this.#last.index + 1;
      if (index !== expected)
        throw this.#corrupt(`entry ${expected} is missing`, { index: expected, found: index });
      const parsed = this.#checked(parseEntry(this.#last, asBuffer(value)), `entry ${index}`, index);
      this.#positions.push(parsed.position);
      entries.push(parsed.entry);
    }
    if (header === undefined) return undefined;
    const { last, snapshot, hardState, identity } = header;
    this.#checkEnd(header);
    this.#identity = identity;
    this.#hardState = hardState;
    this.#firstStored = firstStored ?? last.index + 1;
    return { identity, hardState, snapshot: { index: snapshot.index, term: snapshot.term }, entries };
  }

  #checkEnd({ last, hardState }: StoreHeader): void {
    const found = this.#last;
    if (found.index !== last.index || found.term !== last.term || found.chain !== last.chain) {
      throw this.#corrupt(
        `it ends at entry ${found.index} of term ${found.term}, its header tells of ${last.index} of term ${last.term}`,
        { index: Math.min(found.index, last.index) + 1 },
      );
    }
    if (hardState.commit > last.index || hardState.term < last.term) {
      throw this.#corrupt(
        `its header contradicts itself: term ${hardState.term}, commit ${hardState.commit}`,
        {},
      );
    }
  }

  #checked<T>(parsed: Parsed<T>, what: string, index?: number): T {
    if (parsed.ok) return parsed.value;
    throw this.#corrupt(`${what} is damaged: ${parsed.reason}`, index === undefined ? {} : { index });
  }

  #corrupt(what: string, context: Readonly<Record<string, unknown>>): Error {
    return corruptError(`the store ${this.#path} cannot be trusted: ${what}`, {
      path: this.#path,
      ...context,
    });
  }
}

/** What a batch changes; what it does not name stays. */
interface Change {
  readonly identity?: StoreIdentity;
  readonly hardState?: HardState;
  readonly operations?: readonly KeyValueOperation[];
  /** The log begins behind it. */
  readonly base?: LogPosition;
  /** Index of the last entry that stays. */
  readonly keptTo?: number;
  readonly added?: readonly LogPosition[];
}

function deletions(from: number, end: number): KeyValueOperation[] {
  const operations: KeyValueOperation[] = [];
  for (let index = from; index < end; index++) operations.push({ type: "delete", key: entryKey(index) });
  return operations;
}

function lastOf(positions: readonly LogPosition[]): LogPosition {
  const last = positions.at(-1);
  assert(last !== undefined, "a log has a start");
  return last;
}
