import { FileHandleCache } from "./file-handle-cache.ts";
import { SyncScheduler } from "./flusher.ts";
import { IndexCache } from "./index-cache.ts";
import type { PartitionLogDeps } from "./log-core.ts";
import type { LogManagerDeps, LogManagerSettings } from "./log-manager-options.ts";
import { TailCache } from "./tail-cache.ts";

/** What all logs of a broker share. */
export type LogResources = Pick<PartitionLogDeps, "files" | "tail" | "syncs" | "indexes">;

/** Makes them; each is bounded over all logs. */
export function makeResources(options: LogManagerSettings, deps: LogManagerDeps): LogResources {
  return {
    files: new FileHandleCache({ maxOpen: options.maxOpenFiles }, deps),
    tail: new TailCache({
      maxBytes: options.tailCacheBytes,
      maxPartitionBytes: options.tailCachePartitionBytes,
    }),
    syncs: new SyncScheduler(
      {
        maxConcurrent: options.maxConcurrentSyncs,
        areFailuresSwallowed: options.sabotage === "swallowFailedSync",
      },
      deps,
    ),
    indexes: new IndexCache({ maxBytes: options.indexCacheBytes }),
  };
}
