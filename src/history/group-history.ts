import type { GroupEndLine, HandledLine, MemberLine, MicroOperation } from "./history-line.ts";

type Commit = Extract<MicroOperation, readonly ["commit", ...unknown[]]>;
type Committed = Extract<MicroOperation, readonly ["committed", ...unknown[]]>;

/** A commit of one key. */
export interface CommitOfKey {
  readonly operation: number;
  readonly process: number;
  readonly offset: number;
  /** Unique to the commit. */
  readonly uid: string;
}

/** What an answered fetch gave for one key: offset -1 and no uid where nothing was committed. */
export interface FetchOfKey {
  readonly operation: number;
  readonly offset: number;
  readonly uid: string;
}

/** A member was told that a key is its own now. */
export interface Gain {
  readonly at: number;
  readonly process: number;
  readonly generation: number;
}

/** What happened to a group: its offsets by key, who had what, and what was processed. */
export class GroupHistory {
  readonly name: string;
  readonly commits = new Map<string, CommitOfKey[]>();
  readonly fetches = new Map<string, FetchOfKey[]>();
  readonly gains = new Map<string, Gain[]>();
  readonly handled: HandledLine[] = [];
  readonly ends: GroupEndLine[] = [];

  constructor(name: string) {
    this.name = name;
  }

  addCommit(operation: number, process: number, [, , key, offset, uid]: Commit): void {
    listOf(this.commits, key).push({ operation, process, offset, uid });
  }

  addFetch(operation: number, [, , key, offset, uid]: Committed): void {
    listOf(this.fetches, key).push({ operation, offset, uid });
  }

  addMember({ t, p, gen, gained }: MemberLine): void {
    for (const key of gained) listOf(this.gains, key).push({ at: t, process: p, generation: gen });
  }
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}
