import { setFlagsFromString } from "node:v8";

/**
 * Sets what V8 and libuv need to know of a process whose memory is mostly buffers. Every message and every socket read is an
 * allocation outside of V8's heap; by default each 64 MiB or so of them start a collection of the whole heap, 30 of them a
 * second at 400 MB/s, which took more CPU than the broker. Counted in the global limit, which grows with what is really
 * alive, a broker at the same load does a third of the collections (measured with Node 24.21: V8's own threads went from
 * 0.21 to 0.07 CPU seconds for each 100 MB). Call it before any load.
 *
 * Half of those buffers die at once, which a small collection finds out in a millisecond or two, if it comes before the
 * large one: so the young generation is kept small. The large one may then wait until twice what is alive is there: three
 * brokers at full load took 8.3 to 9.7 instead of 9.4 to 10.1 CPU seconds for each GB, with 250 instead of 310 MiB resident.
 */
export function applyEngineFlags(): void {
  // File calls share libuv's thread pool, made at its first use: four threads, the default, let a few slow fdatasyncs
  // hold up every read and write (H18).
  process.env["UV_THREADPOOL_SIZE"] ??= "16";
  // Node 22 has an engine that does not know all of these, and complains on stderr.
  if (Number.parseInt(process.versions.v8, 10) < 13) return;
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--scavenger-max-new-space-capacity-mb=8");
  setFlagsFromString("--heap-growing-percent=100");
}
