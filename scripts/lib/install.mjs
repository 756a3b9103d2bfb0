import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { runToEnd } from "./child.mjs";
import { SetupError, digest, inProject, readIfThere, readJson, root, say } from "./project.mjs";
import { withSetupLock } from "./setup-lock.mjs";

/* What is installed is known by a stamp inside node_modules: the digest of the lock file and of package.json's
 * dependencies, and the Node binary that was found to work. It goes away with node_modules. */

const stampPath = inProject("node_modules", ".lograft-install");
const oldestNode = [22, 18];

/**
 * Installs the dependencies when they are missing or are not those of package-lock.json, and answers the Node binary to
 * run with. @throws SetupError when npm fails or no Node that is new enough can be found.
 */
export async function ensureInstalled() {
  const installed = readStamp();
  if (installed !== undefined) return installed;
  return withSetupLock(async () => {
    // Another launcher may have done the work while this one waited.
    const done = readStamp();
    if (done !== undefined) return done;
    if (!matchesLockFile()) await runNpm();
    const node = await findNode();
    writeFileSync(stampPath, JSON.stringify({ wanted: wantedDigest(), node }));
    return node;
  });
}

function readStamp() {
  const stamp = readJson(stampPath);
  if (stamp === undefined || stamp.wanted !== wantedDigest()) return undefined;
  const isWhole = existsSync(inProject("node_modules", ".package-lock.json")) && existsSync(stamp.node);
  return isWhole ? stamp.node : undefined;
}

function wantedDigest() {
  const { dependencies, optionalDependencies, devDependencies } = readManifest();
  const lock = readIfThere(inProject("package-lock.json")) ?? "";
  const wanted = JSON.stringify([dependencies, optionalDependencies, devDependencies]);
  return digest(wanted, lock, root, process.platform, process.arch);
}

function readManifest() {
  const manifest = readJson(inProject("package.json"));
  if (manifest === undefined) throw new SetupError(`${inProject("package.json")} is missing or is not JSON`);
  return manifest;
}

/**
 * True when npm's own record of node_modules holds every package of package-lock.json in the same version: somebody
 * ran `npm ci` by hand, so doing it again would only cost time.
 */
function matchesLockFile() {
  const wanted = readJson(inProject("package-lock.json"))?.packages;
  const present = readJson(inProject("node_modules", ".package-lock.json"))?.packages;
  if (wanted === undefined || present === undefined) return false;
  const manifest = readManifest();
  const locked = wanted[""] ?? {};
  for (const kind of ["dependencies", "optionalDependencies", "devDependencies"]) {
    if (JSON.stringify(locked[kind] ?? {}) !== JSON.stringify(manifest[kind] ?? {})) return false;
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = present[path];
    const mayBeMissing = entry.optional === true || entry.devOptional === true || entry.peer === true;
    if (found === undefined ? !mayBeMissing : found.version !== entry.version) return false;
  }
  return true;
}

async function runNpm() {
  const command = existsSync(inProject("package-lock.json")) ? "ci" : "install";
  say(`installing the dependencies (npm ${command}); this happens once`);
  const started = Date.now();
  const args = [
    command,
    "--include=dev",
    "--include=optional",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  if (!(await runToEnd("npm", args, inProject()))) {
    throw new SetupError(`npm ${command} failed (see above); mend the cause and run the same command again`);
  }
  say(`installed in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** The pinned Node when it runs here, else this process's own when it is new enough. */
async function findNode() {
  const pinned = inProject("node_modules", "node", "bin", "node");
  if (works(pinned)) return pinned;
  // npm may have skipped the package's install script (`ignore-scripts`, or a version that wants an approval).
  if (existsSync(inProject("node_modules", "node", "installArchSpecificPackage.js"))) {
    say("fetching the pinned Node binary");
    await runToEnd(process.execPath, ["installArchSpecificPackage.js"], inProject("node_modules", "node"));
    if (works(pinned)) return pinned;
  }
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) {
    say(`the pinned Node could not be installed; going on with this one, ${process.version}`);
    return process.execPath;
  }
  throw new SetupError(
    `Node ${oldestNode.join(".")} or newer is needed, this is ${process.version}, and the pinned one (npm package ` +
      `"node") could not be installed. Install a newer Node, or allow that package's install script.`,
  );
}

function works(binary) {
  if (!existsSync(binary)) return false;
  const answer = spawnSync(binary, ["--version"], { encoding: "utf8", timeout: 20_000 });
  return answer.status === 0 && /^v\d+\./.test(answer.stdout);
}
