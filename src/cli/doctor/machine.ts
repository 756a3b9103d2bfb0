import { constants } from "node:fs";
import { access, readdir, readFile, readlink, stat, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { NodeHostFacts } from "../../platform/node/node-host-facts.ts";
import { ownerOf } from "../../platform/node/path-owner.ts";
import type { HostReading } from "../../platform/host-facts.ts";
import type { PathOwner } from "../../platform/node/path-owner.ts";

/** A data directory as the file system has it. */
export interface DirectoryLook {
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
  /** Of it, or of the nearest directory above it. */
  readonly owner: PathOwner | undefined;
  /** This process may make files in it, or make it. */
  readonly isWritable: boolean;
  readonly freeBytes: number;
  /** "ext4", "tmpfs"; "" for what has no name here. */
  readonly fileSystem: string;
  /** `meta.properties`, by key; undefined: there is none that can be read. */
  readonly meta: ReadonlyMap<string, string> | undefined;
  /** Wall clock of the last change to `meta.properties` or the mark of a clean stop, in ms since 1970. */
  readonly writtenMs: number | undefined;
  /** The process that has it in use. */
  readonly holder: number | undefined;
}

/** By the magic numbers of Linux's statfs(2). */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x5846_5342, "xfs"],
  [0x9123_683e, "btrfs"],
  [0x2fc1_2fc1, "zfs"],
  [0x0102_1994, "tmpfs"],
  [0x794c_7630, "overlay"],
  [0x6969, "nfs"],
  [0xff53_4d42, "cifs"],
  [0xfe53_4d42, "smb2"],
  [0x6573_5546, "fuse"],
]);

/** What is read of this machine. */
export type MachineReading = HostReading;

/** This process on this machine. */
export function readHost(): MachineReading {
  return new NodeHostFacts().read();
}

/** Looks at a data directory without changing it. @throws what the file system throws where even its root is no directory. */
export async function lookAtDirectory(path: string): Promise<DirectoryLook> {
  const owner = ownerOf(path);
  const exists = owner?.path === path;
  const at = owner?.path ?? dirname(path);
  const { bavail, bsize, type } = await statfs(at);
  const times = await Promise.all(
    ["meta.properties", "clean-shutdown"].map((name) => changedMs(join(path, name))),
  );
  return {
    path,
    exists,
    isDirectory: owner?.isDirectory !== false,
    owner,
    isWritable: await mayUse(at),
    freeBytes: bavail * bsize,
    fileSystem: FILE_SYSTEMS.get(type) ?? "",
    meta: await readMeta(join(path, "meta.properties")),
    writtenMs: times.reduce((a, b) => (a === undefined || (b !== undefined && b > a) ? b : a)),
    holder: await holderOf(join(path, ".lock")),
  };
}

/** The process that listens on a TCP port of this machine, as "process 12 (node)"; undefined where nobody says. Linux only. */
export async function listenerOn(port: number): Promise<string | undefined> {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of (await textOf(table))?.split("\n").slice(1) ?? []) {
      const fields = line.trim().split(/\s+/);
      const isListening = fields[3] === "0A" && Number.parseInt(fields[1]?.split(":")[1] ?? "", 16) === port;
      if (isListening && fields[9] !== undefined) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of await namesIn("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of await namesIn(`/proc/${pid}/fd`)) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (inodes.has(target)) return `process ${pid} (${basename(await readlink(`/proc/${pid}/exe`))})`;
    }
  }
  return undefined;
}

async function mayUse(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function changedMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch {
    return undefined; // Not there yet.
  }
}

async function readMeta(path: string): Promise<ReadonlyMap<string, string> | undefined> {
  const text = await textOf(path);
  if (text === undefined) return undefined;
  const lines = text.split("\n").filter((line) => line.includes("=") && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1).trim()]),
  );
}

/** The living process named in a lock file. */
async function holderOf(lock: string): Promise<number | undefined> {
  const pid = Number(/"pid":\s*(\d+)/.exec((await textOf(lock)) ?? "")?.[1]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error: unknown) {
    const isOfAnother = error instanceof Error && "code" in error && error.code === "EPERM";
    return isOfAnother ? pid : undefined;
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "latin1");
  } catch {
    return undefined; // Not there, not ours to read, or not Linux.
  }
}

async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch {
    return []; // A process that ended meanwhile, or one of another user.
  }
}
