import { basename } from "node:path";
import { operationError } from "../base/errors.ts";
import { LOCK_FILE } from "../log/data-directory.ts";
import type { Finding } from "../log/finding.ts";
import { parsePartitionDirName, parseSegmentFileName } from "../log/file-names.ts";
import { META_FILE } from "../log/meta-file.ts";
import { verifyPartition } from "../log/verify-partition.ts";
import type { VerificationReport } from "../log/verify-partition.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { Disk } from "../platform/disk.ts";
import { parseInteger } from "./arguments.ts";
import { CountingDisk } from "./counting-disk.ts";
import type { Output } from "./output.ts";
import { counted, formatBytes, formatCount } from "./output.ts";
import { byteProgress } from "./progress.ts";

/** The sum over all partitions. */
export interface Verdict {
  readonly errorCount: number;
  readonly warningCount: number;
}

interface PartitionVerdict {
  readonly name: string;
  readonly report: VerificationReport;
}

/**
 * Checks a partition directory, or every one in a data directory, and prints what it holds and what is wrong.
 * @throws LograftError RESOURCE_NOT_FOUND; INVALID_ARGUMENT when it is neither; DISK_READ_FAILED.
 */
export async function verifyDirectory(
  output: Output,
  options: {
    readonly disk: Disk;
    readonly directory: string;
    readonly maxFindings: string;
    readonly signal: AbortSignal;
  },
): Promise<Verdict> {
  const { disk, directory, signal } = options;
  const maxFindings = parseInteger(options.maxFindings, "--max-findings", 0);
  const directories = await partitionDirectories(disk, directory);
  // A stopped broker leaves none, a killed one does.
  if ((await disk.stat(`${directory}/${LOCK_FILE}`)) !== undefined) {
    output.note(
      `${directory} may be in use: what a running broker has not written yet shows as a warning here`,
    );
  }
  const verdicts: PartitionVerdict[] = [];
  {
    using progress = byteProgress(output, await totalBytes(disk, directories), "verify");
    const counting = new CountingDisk(disk, (bytes) => progress.advance(bytes));
    for (const path of directories) {
      signal.throwIfAborted();
      const report = await verifyPartition(counting, path, { maxFindings, signal });
      verdicts.push({ name: basename(path), report });
    }
  }
  const verdict = {
    errorCount: verdicts.reduce((sum, { report }) => sum + report.errorCount, 0),
    warningCount: verdicts.reduce((sum, { report }) => sum + report.warningCount, 0),
  };
  if (output.format === "json") output.json({ ...verdict, partitions: verdicts.map(verdictAsJson) });
  else printVerdicts(output, verdicts, verdict);
  return verdict;
}

async function partitionDirectories(disk: Disk, directory: string): Promise<readonly string[]> {
  const found = await disk.stat(directory);
  if (found === undefined)
    throw new ProtocolError("RESOURCE_NOT_FOUND", `${directory}: there is no such directory`);
  if (!found.isDirectory) {
    throw operationError(
      "INVALID_ARGUMENT",
      `${directory}: is a file; name its directory, or use: lograft log dump`,
    );
  }
  const entries = await disk.list(directory);
  if (entries.some(({ name }) => parseSegmentFileName(name) !== undefined)) return [directory];
  const partitions = entries.filter(
    ({ name, isDirectory }) => isDirectory && parsePartitionDirName(name) !== undefined,
  );
  if (partitions.length === 0 && !entries.some(({ name }) => name === META_FILE)) {
    throw operationError(
      "INVALID_ARGUMENT",
      `${directory}: is neither a partition directory nor does it hold one; name the log.dirs of a broker`,
    );
  }
  return partitions.map(({ name }) => `${directory}/${name}`);
}

async function totalBytes(disk: Disk, directories: readonly string[]): Promise<number> {
  let total = 0;
  for (const directory of directories) {
    for (const { name } of await disk.list(directory)) {
      total += (await disk.stat(`${directory}/${name}`))?.sizeBytes ?? 0;
    }
  }
  return total;
}

function printVerdicts(output: Output, verdicts: readonly PartitionVerdict[], total: Verdict): void {
  output.rows(
    [
      { title: "PARTITION", cell: ({ name }) => name },
      { title: "SEGMENTS", cell: ({ report }) => formatCount(report.segmentCount), align: "right" },
      { title: "BATCHES", cell: ({ report }) => formatCount(report.batchCount), align: "right" },
      { title: "RECORDS", cell: ({ report }) => formatCount(report.recordCount), align: "right" },
      { title: "SIZE", cell: ({ report }) => formatBytes(report.logBytes), align: "right" },
      { title: "END", cell: ({ report }) => report.endOffset ?? "empty", align: "right" },
      { title: "GAPS", cell: ({ report }) => report.gapCount, align: "right" },
      { title: "FINDINGS", cell: ({ report }) => findingsCell(report) },
    ],
    verdicts,
    { empty: "no partitions", toJson: verdictAsJson },
  );
  for (const { name, report } of verdicts) {
    for (const finding of report.findings) output.line(findingText(name, finding));
    const unseen = report.errorCount + report.warningCount - report.findings.length;
    if (unseen > 0) output.line(`${name}: and ${formatCount(unseen)} more; raise --max-findings`);
  }
  if (total.errorCount > 0) output.note(`damaged: ${counted(total.errorCount, "error")}`);
  else if (total.warningCount > 0) {
    output.note(`sound, with ${counted(total.warningCount, "warning")}: the next start repairs that`);
  } else output.note("sound");
}

function findingsCell({ errorCount, warningCount }: VerificationReport): string {
  if (errorCount + warningCount === 0) return "none";
  return [
    ...(errorCount > 0 ? [counted(errorCount, "error")] : []),
    ...(warningCount > 0 ? [counted(warningCount, "warning")] : []),
  ].join(", ");
}

function findingText(name: string, finding: Finding): string {
  const position = finding.position === undefined ? "" : ` at position ${finding.position}`;
  const offset = finding.offset === undefined ? "" : ` (offset ${finding.offset})`;
  return `${finding.severity} ${name}/${finding.file}${position}${offset}: ${finding.problem}`;
}

function verdictAsJson({ name, report }: PartitionVerdict): unknown {
  return {
    partition: name,
    segmentCount: report.segmentCount,
    batchCount: report.batchCount,
    recordCount: report.recordCount,
    logBytes: String(report.logBytes),
    gapCount: report.gapCount,
    endOffset: report.endOffset === undefined ? null : String(report.endOffset),
    errorCount: report.errorCount,
    warningCount: report.warningCount,
    findings: report.findings.map((finding) => ({
      severity: finding.severity,
      file: finding.file,
      position: finding.position ?? null,
      offset: finding.offset === undefined ? null : String(finding.offset),
      problem: finding.problem,
    })),
  };
}
