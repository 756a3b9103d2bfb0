import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram } from "./owned-process.ts";
import type { ProgramCall } from "./owned-process.ts";

const INSTALL_MS = 600_000;
const JAVA_SOURCES = fileURLToPath(new URL("java/", import.meta.url));

/** Where the peers are kept from one run to the next. */
export function cacheDirectory(): string {
  return process.env["BENCH_PEERS_CACHE"] ?? join(homedir(), ".cache", "lograft-bench");
}

/** Makes `place` by `build`, unless an earlier run did; a build that is broken off leaves nothing that looks whole. */
export async function onceInstalled(
  place: string,
  build: (temporary: string) => Promise<void>,
): Promise<void> {
  if (await exists(place)) return;
  const temporary = `${place}.new-${process.pid}`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  try {
    await build(temporary);
    await rename(temporary, place);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Runs a tool of an installation. @throws naming the tool when the machine has none. */
export async function installBy(call: ProgramCall, directory?: string): Promise<string> {
  try {
    const where = directory === undefined ? {} : { directory };
    return await runProgram(call, { timeoutMs: INSTALL_MS, ...where });
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isAbsent) throw new Error(`this machine has no ${call.command}`, { cause: error });
    throw error;
  }
}

/** The artifacts ("group:name:version") and all they need, by Maven; gives a class path. */
export async function copyMavenArtifacts(place: string, artifacts: readonly string[]): Promise<string> {
  await mkdir(place, { recursive: true });
  const name = `libraries-${createHash("sha256").update(artifacts.join()).digest("hex").slice(0, 8)}`;
  const target = join(place, name);
  await onceInstalled(target, async (temporary) => {
    await writeFile(join(temporary, "pom.xml"), pomOf(artifacts));
    const options = ["--quiet", "--batch-mode", "--file", join(temporary, "pom.xml")];
    const goal = ["dependency:copy-dependencies", `-DoutputDirectory=${temporary}`, "-DincludeScope=runtime"];
    await installBy({ command: "mvn", args: [...options, ...goal] });
  });
  return join(target, "*");
}

/** Compiles our clients in Java against a class path; gives the directory of the classes. */
export async function compileJava(
  place: string,
  libraries: string,
  sources: readonly string[],
): Promise<string> {
  const files = sources.map((source) => join(JAVA_SOURCES, source));
  const target = join(place, `classes-${await digestOf(files)}`);
  await onceInstalled(target, async (temporary) => {
    await installBy({ command: "javac", args: ["-cp", libraries, "-d", temporary, ...files] });
  });
  return target;
}

/** Tells versions of our own sources apart. */
export async function digestOf(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) hash.update(await readFile(file));
  return hash.digest("hex").slice(0, 12);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group = "", name = "", version = ""] = artifact.split(":");
    const parts = `<groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>`;
    return `    <dependency>${parts}</dependency>\n`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lograft.bench</groupId><artifactId>peer</artifactId><version>1</version>
  <dependencies>
${dependencies.join("")}  </dependencies>
</project>
`;
}
