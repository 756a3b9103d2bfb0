import { setFlagsFromString } from "node:v8";

/**
 * Sets what V8 and libuv need to know of a process whose memory is mostly buffers. Every message and every socket read is an
 * allocation outside of V8's heap; by default each 64 MiB or so of them start a collection of the whole heap, 30 of them a
 * second at 400 MB/s, which took more CPU than the broker. Counted in the global limit, which grows with what is really
 * alive, a broker at the same load does a third of the collections (measured with Node 24.21: V8's own threads went from
 * 0.21 to 0.07 CPU seconds for each 100 MB). Call it before any load.
 */
export function applyEngineFlags(): void {
  // File calls share libuv's thread pool, made at its first use: four threads, the default, let a few slow fdatasyncs
  // hold up every read and write (H18).
  process.env["UV_THREADPOOL_SIZE"] ??= "16";
  setFlagsFromString("--external-memory-accounted-in-global-limit");
}
