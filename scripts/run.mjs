#!/usr/bin/env node
import { existsSync } from "node:fs";
import { ensureBuilt } from "./lib/build.mjs";
import { becomeChild } from "./lib/child.mjs";
import { ensureInstalled } from "./lib/install.mjs";
import { SetupError, codePaths, inProject, lintOptions } from "./lib/project.mjs";

/*
 * The one door to everything that runs from a clone: `node scripts/run.mjs <command> [arguments]`. Whatever Node starts
 * it (20 is enough), it installs the dependencies when they are not those of package-lock.json, compiles when a source
 * changed, and then runs the target on the pinned Node. When nothing has to be done it costs a few stats.
 */

const usage = `usage: node scripts/run.mjs <command> [arguments]
  setup               install what package-lock.json names, nothing else
  build               setup, and compile src/ to dist/
  start [options]     run three brokers (lograft dev up)
  test [arguments]    run the tests (arguments go to vitest)
  check [--no-tests]  format, lint, types and tests, as the continuous integration does
  lint, format        one tool of the check; format writes
  exec <file> [...]   run a compiled file, or a .ts or .mjs file, of this project
`;

/** Where each command leads; `build`: it reads dist/; `atRoot`: it works on the project, not on the caller's folder. */
const commands = {
  setup: { build: false },
  build: { build: true },
  start: { build: true, target: "dist/cli/main.js", before: ["dev", "up"] },
  test: { build: false, target: "node_modules/vitest/vitest.mjs", before: ["run"], atRoot: true },
  check: { build: false, target: "scripts/check.mjs", atRoot: true },
  lint: {
    build: false,
    target: "node_modules/oxlint/bin/oxlint",
    before: [...lintOptions, ...codePaths()],
    atRoot: true,
  },
  format: { build: false, target: "node_modules/oxfmt/bin/oxfmt", before: codePaths(), atRoot: true },
  exec: { build: true },
};

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`lograft: ${error.message}\n`);
  process.exitCode = 1;
}

async function main([name, ...given]) {
  const command = Object.hasOwn(commands, name ?? "") ? commands[name] : undefined;
  if (command === undefined) {
    process.stderr.write(usage);
    process.exitCode = name === undefined || name === "help" || name === "--help" ? 0 : 2;
    return;
  }
  const node = await ensureInstalled();
  if (command.build) await ensureBuilt(node);
  const args = name === "exec" ? given.slice(1) : given;
  const target = name === "exec" ? given[0] : command.target;
  if (target === undefined) {
    if (name === "exec") throw new SetupError("exec needs a file, for example: exec bench/main.ts");
    return;
  }
  const file = inProject(target);
  if (!existsSync(file)) throw new SetupError(`there is no ${target}`);
  becomeChild(node, ["--enable-source-maps", file, ...(command.before ?? []), ...args], {
    cwd: command.atRoot === true ? inProject() : undefined,
  });
}
