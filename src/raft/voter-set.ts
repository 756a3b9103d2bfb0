import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { LograftError } from "../base/errors.ts";
import type { ReplicaId, Voter, VoterSet } from "./types.ts";

/*
 * The data of a "voters" entry:
 *
 *   field     size     note
 *   version   u8       0
 *   count     uvarint
 *   voters    .        each: id text, endpoint text; text behind an unsigned varint that counts its bytes
 *
 * The ids rise strictly, so that one set has one encoding. No checksum: the log that stores or sends it has its own.
 */

const VERSION = 0;

/** The bytes of a "voters" entry. */
export function encodeVoters(voters: VoterSet): Buffer {
  const out = new ByteWriter(16 + voters.length * 80);
  out.uint8(VERSION);
  out.uvarint(voters.length);
  for (const { id, endpoint } of voters) {
    out.sizedUtf8(id);
    out.sizedUtf8(endpoint);
  }
  return out.toBuffer();
}

/**
 * The voters in these bytes. @throws LograftError CORRUPT_MESSAGE when they are not what `encodeVoters` makes, or of a
 * version that this code does not know: to count by a set that was misread would be worse than to stop.
 */
export function decodeVoters(data: Uint8Array): VoterSet {
  const reader = new ByteReader(data);
  const version = reader.uint8();
  if (version !== VERSION) throw corrupt(`version ${version} of a voter set is not known here; upgrade`);
  const voters: Voter[] = [];
  for (let left = reader.uvarint(); left > 0; left--) {
    const id = reader.sizedUtf8() as ReplicaId;
    voters.push({ id, endpoint: reader.sizedUtf8() });
  }
  reader.expectEnd();
  if (!isVoterSet(voters)) throw corrupt("a voter set is empty, not in order or names somebody twice");
  return voters;
}

/** As `decodeVoters`, for bytes of a peer: undefined when they cannot be read. */
export function readVoters(data: Uint8Array): VoterSet | undefined {
  try {
    return decodeVoters(data);
  } catch (error) {
    if (error instanceof LograftError) return undefined;
    throw error;
  }
}

/** True for a set that may be in force: somebody in it, each with a name, the ids rising strictly. */
export function isVoterSet(voters: VoterSet): boolean {
  return voters.length > 0 && voters.every(({ id }, at) => id > (voters[at - 1]?.id ?? ""));
}

/** The voter of this id. Sets are small: a scan is cheaper than an index. */
export function findVoter(voters: VoterSet, id: ReplicaId): Voter | undefined {
  return voters.find((voter) => voter.id === id);
}

/** The set with `voter` in it, in place of one of the same id. */
export function withVoter(voters: VoterSet, voter: Voter): VoterSet {
  return [...withoutVoter(voters, voter.id), voter].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The set without the voter of this id. */
export function withoutVoter(voters: VoterSet, id: ReplicaId): VoterSet {
  return voters.filter((voter) => voter.id !== id);
}

function corrupt(message: string): LograftError {
  return new LograftError("CORRUPT_MESSAGE", message);
}
