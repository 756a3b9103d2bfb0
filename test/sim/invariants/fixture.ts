import { nodeId } from "../../../src/model/ids.ts";
import type { KeyValueOperation } from "../../../src/platform/key-value.ts";
import { replicaIdOf } from "../../../src/quorum/replica-id.ts";
import {
  encodeEntry,
  encodeHeader,
  entryKey,
  HEADER_KEY,
  LOG_START,
} from "../../../src/quorum/store-format.ts";
import type { LogPosition } from "../../../src/quorum/store-format.ts";
import type { Entry, RaftStatus, ReplicaId, VoterSet } from "../../../src/raft/types.ts";

/** The replica on a machine. */
export function replica(machine: number, directoryId = `dir${machine}`): ReplicaId {
  return replicaIdOf(nodeId(machine + 1), directoryId);
}

export function voterSet(...machines: readonly number[]): VoterSet {
  return machines.map((machine) => ({ id: replica(machine), endpoint: `machine${machine}:9093` }));
}

export function entry(index: number, term: number, text = `${index}`): Entry {
  return { index, term, kind: "data", data: Buffer.from(text) };
}

/** Writes batches as the store of one replica does. */
export class StoreWriter {
  readonly #machine: number;
  #positions: LogPosition[] = [LOG_START];

  constructor(machine: number) {
    this.#machine = machine;
  }

  /** Entries replace what is at and behind the first one's index. */
  batch(
    entries: readonly Entry[],
    hardState: { readonly term: number; readonly vote?: ReplicaId } = { term: entries.at(-1)?.term ?? 0 },
  ): KeyValueOperation[] {
    const [first] = entries;
    if (first !== undefined) this.#positions = this.#positions.slice(0, first.index);
    const puts = entries.map((one): KeyValueOperation => {
      const { value, position } = encodeEntry(this.#positions.at(-1) ?? LOG_START, one);
      this.#positions.push(position);
      return { type: "put", key: entryKey(one.index), value };
    });
    const header = encodeHeader({
      identity: {
        nodeId: nodeId(this.#machine + 1),
        directoryId: `dir${this.#machine}`,
        clusterId: undefined,
      },
      hardState: { term: hardState.term, vote: hardState.vote, commit: 0 },
      snapshot: LOG_START,
      last: this.#positions.at(-1) ?? LOG_START,
    });
    return [...puts, { type: "put", key: HEADER_KEY, value: header }];
  }
}

export function status(machine: number, fields: Partial<RaftStatus>): RaftStatus {
  return {
    id: replica(machine),
    role: "follower",
    term: 1,
    leader: undefined,
    commit: 0,
    lastIndex: 0,
    durableIndex: fields.lastIndex ?? 0,
    snapshotIndex: 0,
    voters: voterSet(0, 1, 2),
    votersIndex: 1,
    progress: [],
    isSettled: true,
    transferTarget: undefined,
    ...fields,
  };
}
