import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { operationError } from "../../base/errors.ts";
import type { LograftError } from "../../base/errors.ts";
import type { DiskLock } from "../disk.ts";
import { errnoOf, wrapDiskError } from "./node-errors.ts";

/** Who holds a lock; the content of the lock file, as JSON. */
interface Holder {
  readonly pid: number;
  /** Tells a process from a later one with the same number; empty where the system does not say. */
  readonly startId: string;
  readonly owner: string;
  /** Unique for each taking, so that "the same lock" can be told from "a lock with the same holder". */
  readonly token: string;
}

/** A take-over that finds its own guard left by a dead process takes that over too; nobody dies this often in a row. */
const MAX_DEPTH = 8;
/** Rounds lost to others who took and released the lock in between. */
const MAX_ROUNDS = 16;

/**
 * Takes the lock file at `path`. A lock whose process is gone (no such process, or its number now belongs to one that
 * started at another time) is taken over. @throws LograftError DATA_DIR_LOCKED naming the holder, DISK_WRITE_FAILED.
 */
export async function acquireLockFile(path: string, owner: string): Promise<DiskLock> {
  const holder = {
    pid: process.pid,
    startId: (await startIdOf(process.pid)) ?? "",
    owner,
    token: randomUUID(),
  };
  await acquire(path, holder, 0);
  return { release: () => release(path, holder) };
}

/**
 * The file appears under its name complete, by a link: it is never seen half written. A file whose holder is dead is
 * replaced only by whoever holds the guard (`path.takeover`, itself such a lock) and still finds that very file there.
 * The dead cannot change it and the living may only with the guard, so two takers cannot both replace it, and a slow
 * one cannot replace the lock of the quick one.
 */
async function acquire(path: string, holder: Holder, depth: number): Promise<void> {
  const draft = `${path}.${holder.token}.draft`;
  try {
    await writeDraft(draft, holder);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (await linkNew(draft, path)) return;
      const found = await readHolder(path);
      if (found === "missing") continue;
      if (found !== "unreadable" && (await isAlive(found))) throw lockedError(path, found);
      if (depth === MAX_DEPTH) throw lockedError(path, undefined);
      const guardPath = `${path}.takeover`;
      const guard = { ...holder, token: randomUUID() };
      await acquire(guardPath, guard, depth + 1);
      try {
        if (isSameLock(await readHolder(path), found)) {
          await fs.rename(draft, path);
          return;
        }
      } finally {
        await release(guardPath, guard);
      }
    }
    throw lockedError(path, undefined);
  } catch (error: unknown) {
    throw errnoOf(error)?.startsWith("E") === true ? wrapDiskError("write", path, "lock", error) : error;
  } finally {
    await fs.rm(draft, { force: true });
  }
}

async function release(path: string, holder: Holder): Promise<void> {
  const found = await readHolder(path);
  if (typeof found === "string" || found.token !== holder.token) return;
  try {
    await fs.unlink(path);
  } catch (error: unknown) {
    if (errnoOf(error) !== "ENOENT") throw wrapDiskError("write", path, "unlink", error);
  }
}

async function writeDraft(draft: string, holder: Holder): Promise<void> {
  const file = await fs.open(draft, "wx", 0o640);
  try {
    await file.writeFile(`${JSON.stringify(holder)}\n`);
    // Without this a power cut may leave the name with no content, and the next start could not say whose it was.
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function linkNew(draft: string, path: string): Promise<boolean> {
  try {
    await fs.link(draft, path);
    return true;
  } catch (error: unknown) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

async function readHolder(path: string): Promise<Holder | "missing" | "unreadable"> {
  let text: string;
  try {
    text = await fs.readFile(path, "utf8");
  } catch (error: unknown) {
    if (errnoOf(error) === "ENOENT") return "missing";
    throw wrapDiskError("read", path, "read", error);
  }
  return parseHolder(text) ?? "unreadable";
}

/** Undefined for what this code never writes: the remains of a power cut, so its holder is dead. */
function parseHolder(text: string): Holder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Not JSON: torn by a power cut.
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, startId, owner, token } = value as Partial<Record<keyof Holder, unknown>>;
  if (!Number.isSafeInteger(pid) || (pid as number) <= 0) return undefined;
  if (typeof startId !== "string" || typeof owner !== "string" || typeof token !== "string") return undefined;
  return { pid: pid as number, startId, owner, token };
}

function isSameLock(a: Holder | "missing" | "unreadable", b: Holder | "missing" | "unreadable"): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.token === b.token;
}

async function isAlive(holder: Holder): Promise<boolean> {
  const startId = await startIdOf(holder.pid);
  if (startId !== undefined && holder.startId !== "") return startId === holder.startId;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error: unknown) {
    return errnoOf(error) !== "ESRCH";
  }
}

/**
 * Boot id and start time in clock ticks since that boot, from Linux's /proc; undefined where there is none, or no such
 * process. The command name in the second field may hold spaces and brackets, so fields are counted after its end.
 */
async function startIdOf(pid: number): Promise<string | undefined> {
  try {
    const [stat, bootId] = await Promise.all([
      fs.readFile(`/proc/${pid}/stat`, "utf8"),
      fs.readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    ]);
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return ticks === undefined ? undefined : `${bootId.trim()}/${ticks}`;
  } catch {
    return undefined; // Not Linux, or the process is gone: the caller asks by signal 0.
  }
}

function lockedError(path: string, holder: Holder | undefined): LograftError {
  const who = holder === undefined ? "several processes" : `process ${holder.pid} (${holder.owner})`;
  return operationError(
    "DATA_DIR_LOCKED",
    `${path} is held by ${who}; stop that process or choose another data directory, and do not delete the file`,
    { context: holder === undefined ? { path } : { path, pid: holder.pid, owner: holder.owner } },
  );
}
