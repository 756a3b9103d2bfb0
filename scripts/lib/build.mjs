import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { runToEnd } from "./child.mjs";
import { SetupError, digest, inProject, listFiles, readJson, say } from "./project.mjs";
import { withSetupLock } from "./setup-lock.mjs";

/* dist/ is current when its stamp names the present files of src/ and proto/ with their sizes and times. Reading some
 * hundred stats costs a few milliseconds; tsc's own incremental check costs a good part of a second. */

const stampPath = inProject("dist", ".build-stamp");
const configs = ["tsconfig.json", "tsconfig.build.json", "node_modules/.lograft-install"];

/** Compiles src/ to dist/ when anything changed since the last time. @throws SetupError when tsc finds an error. */
export async function ensureBuilt(node) {
  if (readJson(stampPath)?.state === describeSources().state) return;
  await withSetupLock(async () => {
    const sources = describeSources();
    const before = readJson(stampPath);
    if (before?.state === sources.state) return;
    say("compiling src/ to dist/");
    const started = Date.now();
    mkdirSync(inProject("dist"), { recursive: true });
    rmSync(stampPath, { force: true });
    removeOutputsOfGoneSources(before?.files ?? [], sources.files);
    const compiler = inProject("node_modules", "typescript", "bin", "tsc");
    // tsc trusts its own record of what it emitted; a record without the files it names would leave holes in dist/.
    if (before === undefined) rmSync(inProject("dist", ".tsbuildinfo"), { force: true });
    const compiles = await runToEnd(node, [compiler, "-p", inProject("tsconfig.build.json")], inProject());
    if (!compiles) throw new SetupError("src/ does not compile (see above)");
    // npx makes it so only when it meets this folder for the first time.
    chmodSync(inProject("dist", "cli", "main.js"), 0o755);
    // The state from before the compiler ran: a file saved meanwhile is seen as a change the next time.
    writeFileSync(stampPath, JSON.stringify(sources));
    say(`compiled in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  });
}

function describeSources() {
  const files = [...listFiles("src"), ...listFiles("proto")];
  for (const path of configs) {
    if (existsSync(inProject(path))) files.push([path, statSync(inProject(path))]);
  }
  const lines = files.map(([path, stat]) => `${path} ${stat.size} ${stat.mtimeMs}`);
  return { state: digest(...lines), files: files.map(([path]) => path) };
}

/** tsc never deletes; a module that is gone from src/ must not stay importable in dist/. */
function removeOutputsOfGoneSources(before, now) {
  const present = new Set(now);
  for (const path of before) {
    if (present.has(path) || !/^src\/.*\.ts$/.test(path)) continue;
    const stem = path.replace(/^src\//, "dist/").replace(/\.ts$/, "");
    for (const ending of [".js", ".js.map", ".d.ts"]) rmSync(inProject(stem + ending), { force: true });
  }
}
