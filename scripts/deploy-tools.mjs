#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/*
 * node scripts/deploy-tools.mjs: installs what test/deploy renders and checks the Helm chart with, by Go's module proxy,
 * into ~/.cache/lograft-tools (DEPLOY_TOOLS: another folder). Takes some minutes of compiling; needs go.
 */
const tools = ["helm.sh/helm/v3/cmd/helm@v3.19.0", "sigs.k8s.io/kubectl-validate@v0.0.4"];
const folder = process.env.DEPLOY_TOOLS ?? join(homedir(), ".cache", "lograft-tools");
mkdirSync(folder, { recursive: true });
for (const tool of tools) {
  const { error, status } = spawnSync("go", ["install", tool], {
    stdio: "inherit",
    env: { ...process.env, GOBIN: folder },
  });
  if (error !== undefined)
    fail(`go cannot be run (${error.message}); install Go, or put helm and kubectl-validate on the PATH`);
  if (status !== 0) fail(`${tool} could not be installed; see above`);
  process.stdout.write(`${tool} is in ${folder}\n`);
}

function fail(message) {
  process.stderr.write(`deploy-tools: ${message}\n`);
  process.exit(1);
}
