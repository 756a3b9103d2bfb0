import { createServer } from "node:net";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import type { Admin } from "../../client/index.ts";
import { PEER_LISTENER } from "../../model/configs.ts";
import type { BrokerConfig } from "../../model/configs.ts";
import { MAX_CLOCK_SKEW_MS, shownSkew } from "../../model/clock-skew.ts";
import { formatBytes } from "../output.ts";
import { dial, knock, parseAddress } from "./dial.ts";
import type { DialedAddress } from "./dial.ts";
import { Findings } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { DirectoryLook, MachineReading } from "./machine.ts";
import { listenerOn } from "./machine.ts";
import { judgeFiles, judgeMemory } from "./node-checks.ts";

const HERE = "this machine";
const LOWEST_NODE = 22;
const OWN_MACHINE = /^(?:|localhost|127\..*|::1|0\.0\.0\.0|::)$/;

/** What a configuration is held against. */
export interface ConfigLook {
  readonly config: BrokerConfig;
  readonly directory: DirectoryLook;
  readonly host: MachineReading;
  readonly nowMs: number;
}

/** What needs no network: the data directory, the clock, the limits of this process. */
export function checkMachine({ config, directory, host, nowMs }: ConfigLook): Finding[] {
  const found: Finding[] = [];
  checkData(new Findings("data", found), config, directory, host);
  const clock = new Findings("clock", found);
  const aheadMs = (directory.writtenMs ?? 0) - nowMs;
  if (aheadMs > MAX_CLOCK_SKEW_MS) {
    const text = `the clock is ${shownSkew(-aheadMs)} the last stop of this very broker`;
    clock.failed(HERE, text, "let NTP set it; timestamps of records and retention go by it");
  } else clock.ok(HERE, `${new Date(nowMs).toISOString()}; doctor compares it with brokers that run`);
  const versions = new Findings("versions", found);
  const text = `lograft ${host.version}, Node.js ${host.nodeVersion}`;
  if (Number.parseInt(host.nodeVersion.slice(1), 10) >= LOWEST_NODE) versions.ok(HERE, text);
  else versions.failed(HERE, text, `Node.js ${LOWEST_NODE} is the oldest that runs it`);
  const segmentFiles = config.storageMaxOpenFiles;
  const { storageCacheBytes: cacheBytes, serverMaxInflightBytes: inflightBytes } = config;
  const { memoryBytes, heapLimitBytes } = host;
  found.push(
    ...judgeFiles("this shell", { openFiles: undefined, limit: host.openFilesLimit, segmentFiles }),
    ...judgeMemory(HERE, { memoryBytes, heapLimitBytes, cacheBytes, inflightBytes }),
  );
  return found;
}

function checkData(
  findings: Findings,
  config: BrokerConfig,
  look: DirectoryLook,
  host: MachineReading,
): void {
  const { path, owner, holder, meta } = look;
  const who = owner === undefined ? "" : `${owner.path} belongs to user ${owner.uid}, group ${owner.gid}`;
  if (!look.isDirectory) {
    findings.failed(path, `${owner?.path ?? path} is a file`, "name a directory in log.dirs");
    return;
  }
  if (look.isWritable) findings.ok(path, look.exists ? who : `to be made; ${who}`);
  else {
    const mine = `${host.userId ?? "?"}`;
    const next = `as root: ${look.exists ? "" : `mkdir -p ${path} && `}chown -R ${mine} ${path}, or run as user ${owner?.uid ?? "?"}`;
    findings.failed(path, `${who} and this process is user ${mine}: it cannot write there`, next);
  }
  checkIdentity(findings, config, look);
  if (holder !== undefined) findings.ok(path, `in use by process ${holder}: a broker runs on it`);
  const free = `${formatBytes(look.freeBytes)} free`;
  if (look.freeBytes < config.storageMinFreeBytes) {
    const text = `${free}, less than storage.min.free.bytes = ${config.storageMinFreeBytes}`;
    const next = "free space, choose another log.dirs, or lower the setting";
    if (meta === undefined) findings.failed(path, text, next);
    else findings.warning(path, text, next);
  } else findings.ok(path, `${free}${look.fileSystem === "" ? "" : ` on ${look.fileSystem}`}`);
  checkFileSystem(findings, look);
}

function checkIdentity(findings: Findings, config: BrokerConfig, { path, meta }: DirectoryLook): void {
  if (meta === undefined) return;
  const nodeId = meta.get("node.id");
  const clusterId = meta.get("cluster.id");
  const next = "point the broker to its own data directory";
  if (nodeId !== undefined && nodeId !== String(config.nodeId)) {
    findings.failed(path, `it is of node ${nodeId}, and node.id = ${config.nodeId}`, next);
  } else if (config.clusterId !== undefined && clusterId !== undefined && clusterId !== config.clusterId) {
    findings.failed(path, `it is of cluster ${clusterId}, and cluster.id = ${config.clusterId}`, next);
  } else findings.ok(path, `of node ${nodeId ?? "?"}, cluster ${clusterId ?? "none yet"}`);
}

function checkFileSystem(findings: Findings, { path, fileSystem }: DirectoryLook): void {
  if (fileSystem === "tmpfs") {
    findings.warning(
      path,
      "it lies in memory (tmpfs): a restart of the machine loses it",
      "put log.dirs on a disk",
    );
  } else if (fileSystem === "overlay") {
    const text = "it lies in the container itself (overlay): removing the container loses it";
    findings.warning(path, text, "mount a volume there");
  } else if (/^(?:nfs|cifs|smb2)$/.test(fileSystem)) {
    const text = `it lies on a network file system (${fileSystem}), whose syncs may not mean what a broker needs`;
    findings.warning(path, text, "put log.dirs on a local disk or a block volume");
  }
}

/** Listens for a moment on each port of the configuration, and says who has it if that cannot be. */
export async function checkPorts(
  config: BrokerConfig,
  deps: {
    readonly admin: (address: string) => Admin;
    readonly isRunning: boolean;
    readonly signal: AbortSignal;
  },
): Promise<Finding[]> {
  const found: Finding[] = [];
  const findings = new Findings("ports", found);
  const { httpPort, httpHost = "" } = config;
  const http = httpPort === undefined ? [] : [{ name: "http.port", host: httpHost, port: httpPort }];
  for (const { name, host, port } of [...config.listeners, ...http]) {
    const about = `${name} ${host}:${port}`;
    if (port === 0) {
      findings.ok(about, "any free one");
      continue;
    }
    const failure = await tryToListen(host, port);
    if (failure === undefined) findings.ok(about, "free");
    else if (failure !== "EADDRINUSE") {
      const text = `it cannot be listened on (${failure})`;
      findings.failed(
        about,
        text,
        "name an address of this machine, and a port above 1023 unless run as root",
      );
    } else {
      const at = { host: OWN_MACHINE.test(host) ? "localhost" : host, port };
      const isClients = name !== PEER_LISTENER && name !== "http.port";
      const reached = isClients ? await dial(deps.admin(`${at.host}:${port}`), at, deps.signal) : undefined;
      const nodeId = reached?.kind === "broker" ? reached.cluster.answeredBy.nodeId : undefined;
      const who = (await listenerOn(port)) ?? "another process";
      const isOwn = deps.isRunning && (!isClients || nodeId === config.nodeId);
      if (isOwn) findings.ok(about, `in use by this broker, which runs: ${who}`);
      else {
        const broker = nodeId === undefined ? "" : `, lograft broker ${nodeId}`;
        findings.failed(about, `in use by ${who}${broker}`, "stop that one, or choose another port");
      }
    }
  }
  return found;
}

async function tryToListen(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen({ port, exclusive: true, ...(host === "" ? {} : { host }) });
    await once(server, "listening");
    const closed = once(server, "close");
    server.close();
    await closed;
    return undefined;
  } catch (error: unknown) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

/** What clients and other brokers will be told, as far as it can be judged before anybody runs. */
export async function checkAdvertised(config: BrokerConfig, signal: AbortSignal): Promise<Finding[]> {
  const found: Finding[] = [];
  const findings = new Findings("addresses", found);
  const others = otherVoters(config);
  const isAlone = others.every(({ host }) => OWN_MACHINE.test(host));
  for (const listener of config.listeners) {
    if (listener.name === PEER_LISTENER) continue;
    const told = config.advertisedListeners?.find(({ name }) => name === listener.name);
    const { host, port } = told ?? listener;
    const address = `${host === "" ? "localhost" : host}:${port}`;
    const about = `${listener.name}://${address}`;
    const isOwn = OWN_MACHINE.test(host);
    const failure = isOwn ? undefined : await knock({ host, port }, signal);
    const set = `set advertised.listeners=${listener.name}://HOST:${port} to what reaches this broker from its clients`;
    if (failure?.kind === "unresolved")
      findings.failed(about, failure.cause, `${set}, or make the name known`);
    else if (isOwn && !isAlone && config.listeners.length <= 2) {
      const text = "clients on other machines, and in other containers, dial themselves with that";
      findings.warning(about, text, set);
    } else if (isOwn) findings.ok(about, "for clients on this machine; others need advertised.listeners");
    else
      findings.ok(
        about,
        isLocal(host) ? "an address of this machine" : "it resolves; not an address of this machine",
      );
  }
  for (const { host, port } of others) {
    const about = `${host}:${port}`;
    const failure = await knock({ host, port }, signal);
    const peers = new Findings("quorum", found);
    if (failure === undefined) peers.ok(about, "reached");
    else if (failure.kind === "unresolved") {
      peers.failed(
        about,
        failure.cause,
        "correct controller.quorum.voters or bootstrap.servers, or make it known",
      );
    } else peers.warning(about, failure.cause, "start that broker, or open the way to its PEER port");
  }
  return found;
}

/** Peer addresses of the configuration, without the own one. */
function otherVoters(config: BrokerConfig): readonly DialedAddress[] {
  const voters = config.controllerQuorumVoters?.filter(({ nodeId }) => nodeId !== config.nodeId) ?? [];
  const servers = config.controllerQuorumBootstrapServers ?? [];
  const all = new Set([...voters.map(({ endpoint }) => endpoint), ...servers]);
  return [...all].map(parseAddress);
}

function isLocal(host: string): boolean {
  return Object.values(networkInterfaces()).some(
    (all) => all?.some(({ address }) => address === host) === true,
  );
}
