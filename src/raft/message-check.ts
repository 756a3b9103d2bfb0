import { isVoterSet, readVoters } from "./voter-set.ts";
import type { AppendRequest, Entry, RaftMessage, SnapshotRequest } from "./types.ts";

/** Terms and indexes past this are refused: one more must still be an exact number. */
const MAX_COUNT = 2 ** 52;

/**
 * True when a message from the wire makes sense by itself. The codec made sure of the types; this makes sure of what the
 * rest of the folder takes for granted: numbers in range, entries in order, voter sets that can be counted by. A message
 * that fails is dropped, as if the network had lost it.
 */
export function isWellFormed(message: RaftMessage): boolean {
  if (message.from === "" || !isCount(message.term)) return false;
  switch (message.type) {
    case "PreVoteRequest":
    case "VoteRequest":
      return message.term > 0 && isCount(message.lastIndex) && isCount(message.lastTerm);
    case "PreVoteResponse":
      return isCount(message.requestTerm);
    case "VoteResponse":
      return true;
    case "AppendRequest":
      return isAppend(message);
    case "AppendResponse":
      return isCount(message.index) && isCount(message.hintIndex) && isCount(message.hintTerm);
    case "HeartbeatRequest":
      return message.term > 0 && isCount(message.commit) && isCount(message.round);
    case "HeartbeatResponse":
      return isCount(message.round);
    case "SnapshotRequest":
      return isChunk(message);
    case "SnapshotResponse":
      return isCount(message.snapshotIndex) && isCount(message.receivedBytes);
    case "TimeoutNowRequest":
      return message.term > 0;
    case "ObserveRequest":
      return message.endpoint !== "";
  }
}

function isAppend({ term, prevIndex, prevTerm, entries, commit }: AppendRequest): boolean {
  if (term === 0 || !isCount(prevIndex) || !isCount(prevTerm) || !isCount(commit)) return false;
  if ((prevIndex === 0) !== (prevTerm === 0)) return false;
  let last = prevTerm;
  for (const [at, entry] of entries.entries()) {
    if (entry.index !== prevIndex + 1 + at || !isCount(entry.term) || entry.term < Math.max(last, 1))
      return false;
    if (!isEntry(entry)) return false;
    last = entry.term;
  }
  return last <= term;
}

function isEntry({ kind, data }: Entry): boolean {
  switch (kind) {
    case "voters":
      return readVoters(data) !== undefined;
    case "noop":
    case "data":
      return true;
    default:
      return false;
  }
}

function isChunk({ term, snapshot, position, data }: SnapshotRequest): boolean {
  const { index, sizeBytes } = snapshot;
  if (!isCount(index) || !isCount(snapshot.term) || !isCount(sizeBytes) || !isCount(position)) return false;
  if (index === 0 || snapshot.term === 0 || snapshot.term > term || !isVoterSet(snapshot.voters))
    return false;
  const end = position + data.length;
  // A chunk that brings nothing would be asked for again for ever.
  return end <= sizeBytes && (data.length > 0 || sizeBytes === 0);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= MAX_COUNT;
}
