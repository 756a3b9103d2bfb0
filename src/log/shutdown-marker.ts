import type { Offset } from "../model/offsets.ts";
import type { TopicPartitionKey } from "../model/topic-partition.ts";

/** Present only while no process uses the data directory and the last one stopped in order. */
export const SHUTDOWN_MARKER_FILE = "clean-shutdown";

/** Ends of a log as it was closed. */
export interface ClosedLog {
  readonly logStartOffset: Offset;
  /** Exclusive. */
  readonly logEndOffset: Offset;
  readonly sizeBytes: number;
}

/** What a process leaves when it stops in order, so that the next one need not look at every partition. */
export interface ShutdownMarker {
  /** The broker epoch it had, if it was registered: a clean restart proves itself by it (KIP-966). */
  readonly brokerEpoch: number | undefined;
  readonly logs: ReadonlyMap<TopicPartitionKey, ClosedLog>;
}

const VERSION = 1;

/** The file's text: JSON with a version. */
export function formatMarker(marker: ShutdownMarker): string {
  const logs: Record<string, readonly [number, number, number]> = {};
  for (const [key, log] of marker.logs) logs[key] = [log.logStartOffset, log.logEndOffset, log.sizeBytes];
  return `${JSON.stringify({ version: VERSION, brokerEpoch: marker.brokerEpoch ?? null, logs })}\n`;
}

/** Undefined for anything but a whole marker of this version: then it is as if there were none. */
export function parseMarker(text: string): ShutdownMarker | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Cut or damaged.
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { version, brokerEpoch, logs } = value as {
    version?: unknown;
    brokerEpoch?: unknown;
    logs?: unknown;
  };
  if (version !== VERSION || typeof logs !== "object" || logs === null) return undefined;
  const closed = new Map<TopicPartitionKey, ClosedLog>();
  for (const [key, ends] of Object.entries(logs)) {
    if (!Array.isArray(ends) || ends.length !== 3) return undefined;
    const [start, end, sizeBytes] = ends as unknown[];
    if (!isOffset(start) || !isOffset(end) || !isOffset(sizeBytes) || start > end) return undefined;
    closed.set(key as TopicPartitionKey, { logStartOffset: start, logEndOffset: end, sizeBytes });
  }
  return { brokerEpoch: typeof brokerEpoch === "number" ? brokerEpoch : undefined, logs: closed };
}

function isOffset(value: unknown): value is Offset {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
