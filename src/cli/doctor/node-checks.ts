import type { NodeDetails } from "../../client/index.ts";
import { clockSkewMs, MAX_CLOCK_SKEW_MS, shownSkew } from "../../model/clock-skew.ts";
import { formatBytes } from "../output.ts";
import type { ClusterLook, SeenBroker } from "./cluster-look.ts";
import { Findings } from "./finding.ts";
import type { Finding } from "./finding.ts";

const MIB = 1024 * 1024;
const NO_ROOM_BYTES = 64 * MIB;
const LITTLE_ROOM_BYTES = 1024 * MIB;
/** Connections, sockets to other brokers, logs and the store, beside segment files. */
const OTHER_FILES = 1000;

/** What a process may use, and what it is set to use. */
export interface MemoryPlan {
  readonly memoryBytes: number;
  readonly heapLimitBytes: number;
  readonly residentBytes?: number;
  readonly cacheBytes: number;
  readonly inflightBytes: number;
}

/** What brokers say of themselves, each for itself and beside the others. `here`: the version of this command. */
export function checkNodes(look: ClusterLook, here: string): Finding[] {
  const nodes = look.brokers.filter(({ node }) => node !== undefined);
  return [
    ...checkClocks(nodes),
    ...nodes.flatMap((seen) => checkDisk(seen)),
    ...checkVersions(look, here),
    ...nodes.flatMap((seen) => [...checkFiles(seen), ...checkMemory(seen), ...checkHttp(seen)]),
  ];
}

function checkClocks(brokers: readonly SeenBroker[]): Finding[] {
  const found: Finding[] = [];
  const findings = new Findings("clock", found);
  const bound = `bound: ${MAX_CLOCK_SKEW_MS / 1000} s`;
  const next = "let NTP set the clock there and here; timestamps of records and retention go by it";
  const ranges = brokers.flatMap(({ broker, clock }) =>
    clock === undefined ? [] : [{ ...clock, ...broker }],
  );
  for (const { nodeId, ...reading } of ranges) {
    const skewMs = clockSkewMs(reading);
    const about = `broker ${nodeId}`;
    if (Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS)
      findings.ok(about, `its clock is that of this machine (${bound})`);
    else findings.failed(about, `its clock is ${shownSkew(skewMs)} that of this machine (${bound})`, next);
  }
  if (ranges.length < 2) return found;
  // Each lies between these two, as seen from here; what is between the ranges is apart for certain.
  const fastest = ranges.reduce((a, b) => (b.theirsMs - b.answeredMs > a.theirsMs - a.answeredMs ? b : a));
  const slowest = ranges.reduce((a, b) => (b.theirsMs - b.askedMs < a.theirsMs - a.askedMs ? b : a));
  const apartMs = fastest.theirsMs - fastest.answeredMs - (slowest.theirsMs - slowest.askedMs);
  if (apartMs <= MAX_CLOCK_SKEW_MS) findings.ok("brokers", `their clocks agree (${bound})`);
  else {
    const names = `broker ${fastest.nodeId} is ${shownSkew(apartMs)} broker ${slowest.nodeId}`;
    findings.failed("brokers", `the clock of ${names} (${bound})`, next);
  }
  return found;
}

function checkDisk({ broker, node }: SeenBroker): Finding[] {
  const found: Finding[] = [];
  const findings = new Findings("disk", found);
  const about = `broker ${broker.nodeId}`;
  const { diskFreeBytes, dataDirectory } = node ?? {};
  if (diskFreeBytes === undefined) {
    findings.warning(about, `${dataDirectory}: it cannot tell how much is free`, "see its log");
    return found;
  }
  const text = `${formatBytes(diskFreeBytes)} free in ${dataDirectory}`;
  const next = "free space there, delete topics or shorten their retention, or add brokers and reassign";
  if (diskFreeBytes < NO_ROOM_BYTES) findings.failed(about, text, next);
  else if (diskFreeBytes < LITTLE_ROOM_BYTES) findings.warning(about, text, next);
  else findings.ok(about, text);
  return found;
}

function checkVersions({ brokers, survey }: ClusterLook, here: string): Finding[] {
  const found: Finding[] = [];
  const findings = new Findings("versions", found);
  const versions = new Set<string>();
  for (const { broker, node, address } of brokers) {
    if (address.reached.kind !== "broker" || address.reached.cluster.answeredBy.nodeId !== broker.nodeId)
      continue;
    const about = `broker ${broker.nodeId}`;
    if (node === undefined) {
      findings.warning(about, "a release up to 0.4.0, which tells little of itself", "upgrade it");
      continue;
    }
    versions.add(node.version);
    findings.ok(about, `lograft ${node.version}, Node.js ${node.nodeVersion}`);
  }
  if (versions.size > 1) {
    const next = "finish the rolling upgrade: restart the others with the newer release";
    findings.warning("brokers", `${[...versions].sort().join(" and ")} run side by side`, next);
  }
  if (versions.size === 1 && !versions.has(here)) {
    findings.warning(
      "this command",
      `lograft ${here} asks brokers of ${[...versions].join()}`,
      "use the same release",
    );
  }
  for (const { name, level, max } of survey.cluster.features) {
    if (level >= max) findings.ok(name, `level ${level}, the newest that the brokers know`);
    else {
      const next = `when no older broker is to come back: lograft features upgrade --feature ${name}=${max}`;
      findings.warning(name, `level ${level}, and level ${max} is known`, next);
    }
  }
  return found;
}

function checkFiles({ broker, node, settings }: SeenBroker): Finding[] {
  const { openFiles, openFilesLimit: limit } = node ?? {};
  return judgeFiles(`broker ${broker.nodeId}`, {
    openFiles,
    limit,
    segmentFiles: numberOf(settings, "storage.max.open.files"),
  });
}

/** The limit of open files against what the settings need. */
export function judgeFiles(
  about: string,
  files: {
    readonly openFiles: number | undefined;
    readonly limit: number | undefined;
    readonly segmentFiles: number;
  },
): Finding[] {
  const found: Finding[] = [];
  const findings = new Findings("files", found);
  const { openFiles, limit, segmentFiles } = files;
  const open = openFiles === undefined ? "" : `${openFiles} open, `;
  if (limit === undefined) {
    findings.ok(about, `${open}no limit is told`);
    return found;
  }
  const needed = segmentFiles + OTHER_FILES;
  const text = `${open}limit ${limit}, needed ${needed} (storage.max.open.files and ${OTHER_FILES} for all else)`;
  const next = `raise it: LimitNOFILE= (systemd), ulimits: nofile (compose), ulimit -n; or lower storage.max.open.files`;
  if (limit < needed) findings.failed(about, text, next);
  else findings.ok(about, text);
  return found;
}

function checkMemory({ broker, node, settings }: SeenBroker): Finding[] {
  if (node === undefined) return [];
  return judgeMemory(`broker ${broker.nodeId}`, memoryPlan(node, settings));
}

function memoryPlan(node: NodeDetails, settings: ReadonlyMap<string, string>): MemoryPlan {
  const cacheBytes = numberOf(settings, "storage.cache.bytes");
  return { ...node, cacheBytes, inflightBytes: numberOf(settings, "server.max.inflight.bytes") };
}

/** What the heap and the buffers beside it may grow to, against what there is. */
export function judgeMemory(about: string, plan: MemoryPlan): Finding[] {
  const found: Finding[] = [];
  const findings = new Findings("memory", found);
  const { memoryBytes, heapLimitBytes, residentBytes, cacheBytes, inflightBytes } = plan;
  const wantedBytes = heapLimitBytes + cacheBytes + inflightBytes;
  const used = residentBytes === undefined ? "" : `${formatBytes(residentBytes)} resident, `;
  const parts = `heap up to ${formatBytes(heapLimitBytes)} and ${formatBytes(cacheBytes + inflightBytes)} of buffers`;
  const text = `${used}${parts}, of ${formatBytes(memoryBytes)}`;
  const next =
    "it may be killed for want of memory: raise the limit, set NODE_OPTIONS=--max-old-space-size=MiB to half of it, " +
    "or lower storage.cache.bytes and server.max.inflight.bytes";
  if (wantedBytes > memoryBytes) findings.warning(about, text, next);
  else findings.ok(about, text);
  return found;
}

function checkHttp({ broker, node, http }: SeenBroker): Finding[] {
  const found: Finding[] = [];
  const nothing =
    node?.httpPort === 0 ? "takes any free port" : "none: no pages for probes and Prometheus (http.port)";
  new Findings("http", found).ok(`broker ${broker.nodeId}`, http ?? nothing);
  return found;
}

function numberOf(settings: ReadonlyMap<string, string>, name: string): number {
  const value = Number(settings.get(name));
  return Number.isFinite(value) ? value : 0;
}
