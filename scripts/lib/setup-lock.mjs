import { linkSync, mkdirSync, renameSync, statSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SetupError, inProject, readIfThere, say } from "./project.mjs";

/* The lock stands outside node_modules, because `npm ci` removes that folder. Its owner touches it every second, so a
 * lock whose process id was given to another program is told from a living one. */

const touchEveryMs = 1_000;
const silentOwnerMs = 60_000;
const waitAtMostMs = 15 * 60_000;

/**
 * Runs `work` while no other launcher of this folder installs or builds; waits for the one that does. A lock left by
 * a dead process is taken over.
 */
export async function withSetupLock(work) {
  mkdirSync(inProject(".lograft"), { recursive: true });
  const lock = inProject(".lograft", "setup.lock");
  await acquire(lock);
  const touching = setInterval(() => touch(lock), touchEveryMs);
  const remove = () => removeIfThere(lock);
  process.once("exit", remove);
  try {
    return await work();
  } finally {
    clearInterval(touching);
    process.off("exit", remove);
    remove();
  }
}

async function acquire(lock) {
  const token = `${process.pid} ${Date.now()} ${Math.random()}`;
  const mine = `${lock}.${process.pid}`;
  const deadline = Date.now() + waitAtMostMs;
  let told = false;
  writeFileSync(mine, token);
  try {
    for (;;) {
      // A hard link appears with its content, so nobody ever reads a lock without its owner's id.
      if (tryLink(mine, lock)) return;
      const holder = readIfThere(lock);
      if (holder === undefined) continue;
      if (isStale(lock, holder)) {
        takeAway(lock, holder);
        continue;
      }
      if (Date.now() > deadline) {
        throw new SetupError(`another launcher (pid ${holder.split(" ")[0]}) holds ${lock} for too long`);
      }
      if (!told) say(`waiting for another launcher (pid ${holder.split(" ")[0]}) to finish its setup`);
      told = true;
      await sleep(100);
    }
  } finally {
    removeIfThere(mine);
  }
}

function tryLink(from, to) {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function isStale(lock, holder) {
  const pid = Number(holder.split(" ")[0]);
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid || !isAlive(pid)) return true;
  try {
    return Date.now() - statSync(lock).mtimeMs > silentOwnerMs;
  } catch {
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Two waiters may judge one dead owner; the one that comes second moves a living lock and must put it back. */
function takeAway(lock, judged) {
  const aside = `${lock}.${process.pid}.stale`;
  try {
    renameSync(lock, aside);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  if (readIfThere(aside) !== judged) tryLink(aside, lock);
  removeIfThere(aside);
}

function touch(path) {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // The file went away under us: the owner loses only the proof of its life, and a waiter checks the process first.
  }
}

function removeIfThere(path) {
  try {
    unlinkSync(path);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}
