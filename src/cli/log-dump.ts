import { basename } from "node:path";
import { operationError } from "../base/errors.ts";
import { ProtocolError } from "../model/error-code.ts";
import {
  dumpBatches,
  dumpOffsetIndex,
  dumpProducerSnapshot,
  dumpTimeIndex,
  dumpTransactionIndex,
} from "../log/dump.ts";
import { parseSegmentFileName } from "../log/file-names.ts";
import { readFully } from "../platform/disk.ts";
import type { Disk, DiskFile } from "../platform/disk.ts";
import type { DumpPrinter } from "./log-dump-printer.ts";

/** Where the bytes are. */
export interface DumpSource {
  readonly disk: Disk;
  readonly path: string;
  readonly signal: AbortSignal;
}

/**
 * Prints a file, or the files of a partition directory in the order of their names. Answers whether all of it could be
 * read and every checksum was right; what was not is in the printed text.
 * @throws LograftError RESOURCE_NOT_FOUND; INVALID_ARGUMENT when there is nothing of ours; DISK_READ_FAILED.
 */
export async function dumpPath(source: DumpSource, printer: DumpPrinter): Promise<boolean> {
  const { disk, path } = source;
  const found = await disk.stat(path);
  if (found === undefined)
    throw new ProtocolError("RESOURCE_NOT_FOUND", `${path}: there is no such file or directory`);
  if (!found.isDirectory) return dumpFile(source, printer);
  const names = (await disk.list(path)).map(({ name }) => name).filter((name) => parseSegmentFileName(name));
  if (names.length === 0) {
    throw operationError(
      "INVALID_ARGUMENT",
      `${path}: there is no segment in it; name a partition directory such as DATA/orders-0, or a file`,
    );
  }
  let isSound = true;
  for (const name of names) {
    if (!(await dumpFile({ ...source, path: `${path}/${name}` }, printer))) isSound = false;
  }
  return isSound;
}

async function dumpFile(source: DumpSource, printer: DumpPrinter): Promise<boolean> {
  const { disk, path, signal } = source;
  const kind = parseSegmentFileName(basename(path))?.kind;
  if (kind === undefined) {
    throw operationError(
      "INVALID_ARGUMENT",
      `${path}: files are told by their names: 20 digits, then .log, .index, .timeindex, .txnindex or .snapshot`,
    );
  }
  signal.throwIfAborted();
  await printer.file(path);
  switch (kind) {
    case "log":
      return dumpSegment(source, printer);
    case "index":
      for await (const entry of dumpOffsetIndex(disk, path)) await printer.offsetIndexEntry(entry);
      return true;
    case "timeindex":
      for await (const entry of dumpTimeIndex(disk, path)) await printer.timeIndexEntry(entry);
      return true;
    case "txnindex":
      for await (const entry of dumpTransactionIndex(disk, path)) await printer.abortedTransaction(entry);
      return true;
    case "snapshot":
      for (const entry of await dumpProducerSnapshot(disk, path)) await printer.producer(entry);
      return true;
  }
}

async function dumpSegment({ disk, path, signal }: DumpSource, printer: DumpPrinter): Promise<boolean> {
  const file = printer.depth === "batches" ? undefined : await disk.open(path, "read");
  try {
    const batches = dumpBatches(disk, path, { signal });
    let isSound = true;
    let step = await batches.next();
    for (; step.done !== true; step = await batches.next()) {
      const batch = step.value;
      await printer.batch(batch);
      if (!batch.isValid) isSound = false;
      else if (file !== undefined) {
        await printer.records(batch, await readBatch(file, batch.position, batch.sizeBytes));
      }
      signal.throwIfAborted();
    }
    const { problem } = step.value;
    if (problem === undefined) return isSound;
    await printer.problem(path, problem);
    return false;
  } finally {
    await file?.close();
  }
}

async function readBatch(file: DiskFile, position: number, sizeBytes: number): Promise<Buffer> {
  const bytes = Buffer.alloc(sizeBytes);
  const count = await readFully(file, bytes, position);
  if (count === sizeBytes) return bytes;
  throw operationError("LOG_CORRUPT", `${file.path} became shorter while it was read; stop the broker first`);
}
