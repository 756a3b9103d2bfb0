import { LograftError } from "../base/errors.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { ReplicaId, Voter, VoterSet } from "../raft/types.ts";
import { parseReplicaId } from "./replica-id.ts";

/** More voters than any quorum has: a bound for what is read. */
const MAX_VOTERS = 1024;

/** A replica's name as a field. */
export function readReplicaId(reader: ByteReader): ReplicaId {
  const at = reader.position;
  const text = reader.sizedUtf8();
  if (parseReplicaId(text) === undefined) throw corruptField("a replica id is not one", at);
  return text as ReplicaId;
}

/** Voters as a field: count uvarint, then id and endpoint of each. */
export function writeVoters(out: ByteWriter, voters: VoterSet): void {
  out.uvarint(voters.length);
  for (const { id, endpoint } of voters) {
    out.sizedUtf8(id);
    out.sizedUtf8(endpoint);
  }
}

/** @throws LograftError CORRUPT_MESSAGE, also when they are not sorted by id without repeats. */
export function readVoters(reader: ByteReader): VoterSet {
  const at = reader.position;
  const count = reader.uvarint();
  if (count > MAX_VOTERS) throw corruptField(`${count} voters are too many`, at);
  const voters: Voter[] = [];
  for (let index = 0; index < count; index++) {
    const id = readReplicaId(reader);
    const before = voters.at(-1);
    if (before !== undefined && before.id >= id) throw corruptField("the voters are not in order", at);
    voters.push({ id, endpoint: reader.sizedUtf8() });
  }
  return voters;
}

/** As the errors of `ByteReader`. */
export function corruptField(what: string, at: number): LograftError {
  return new LograftError("CORRUPT_MESSAGE", `${what} (at byte ${at})`, { context: { at } });
}
