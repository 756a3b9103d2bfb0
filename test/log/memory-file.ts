import type { DiskFile } from "../../src/platform/disk.ts";

/** A file in memory that answers short reads, of at most `maxReadBytes`; only what a reader needs. */
export function memoryFile(content: Buffer, maxReadBytes = Number.POSITIVE_INFINITY): DiskFile {
  const readOnly = (): Promise<never> => Promise.reject(new Error("read only"));
  return {
    path: "memory",
    read(target, position) {
      const count = Math.max(0, Math.min(target.byteLength, content.length - position, maxReadBytes));
      target.set(content.subarray(position, position + count));
      return Promise.resolve(count);
    },
    sizeBytes: () => Promise.resolve(content.length),
    write: readOnly,
    truncate: readOnly,
    sync: readOnly,
    close: () => Promise.resolve(),
  };
}
