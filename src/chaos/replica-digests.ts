import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseSegmentFileName, partitionDirName } from "../log/file-names.ts";
import { BATCH_HEADER_BYTES, baseOffsetOf, batchSizeOf, lastOffsetOf } from "../model/record-batch.ts";
import type { ReplicaLine } from "../history/history-line.ts";

import type { Key } from "./keys.ts";
import { nowNs } from "./monotonic-time.ts";

/**
 * A digest of what a stopped broker has of a key below `end`: the bytes of its batches, whatever segments they lie in.
 * Undefined: it has no directory for it. Nothing was removed from the logs, so all begin at offset 0.
 */
export async function replicaDigest(options: {
  readonly dataDirectory: string;
  readonly node: number;
  readonly key: Key;
  readonly end: number;
}): Promise<ReplicaLine | undefined> {
  const { dataDirectory, node, key, end } = options;
  const directory = join(dataDirectory, partitionDirName(key));
  let names: string[];
  try {
    names = await readdir(directory);
  } catch {
    // No replica of this key on this node.
    return undefined;
  }
  const hash = createHash("sha256");
  let reached = 0;
  const segments = names.filter((name) => parseSegmentFileName(name)?.kind === "log").toSorted();
  for (const name of segments) {
    const bytes = await readFile(join(directory, name));
    for (let at = 0; at + BATCH_HEADER_BYTES <= bytes.length && baseOffsetOf(bytes, at) < end;) {
      const sizeBytes = batchSizeOf(bytes, at);
      // A damaged length says nothing of where the next batch begins: the rest counts as it is.
      if (sizeBytes < BATCH_HEADER_BYTES || at + sizeBytes > bytes.length) {
        hash.update(bytes.subarray(at));
        break;
      }
      hash.update(bytes.subarray(at, at + sizeBytes));
      reached = lastOffsetOf(bytes, at) + 1;
      at += sizeBytes;
    }
  }
  const digest = `${hash.digest("hex").slice(0, 16)} to ${reached}`;
  return { type: "replica", t: nowNs(), k: key.name, node, start: 0, end, digest };
}
