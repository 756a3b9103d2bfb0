import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Command } from "commander";
import { errorMessage, operationError } from "../../base/errors.ts";
import { isLograftError } from "../../client/errors.ts";
import { collect } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { BundleParts } from "../debug/bundle-parts.ts";
import { redactText } from "../debug/redact.ts";
import { tarArchive } from "../debug/tar.ts";
import { examine, hasConfig } from "../doctor/examine.ts";
import { readHost } from "../doctor/machine.ts";
import { EXIT } from "../exit-codes.ts";
import { formatBytes } from "../output.ts";
import type { ConfigOptions } from "./config.ts";
import { effectiveConfig, withConfigOptions } from "./config.ts";

interface BundleOptions extends ConfigOptions {
  readonly out?: string;
  readonly log: readonly string[];
}

const compress = promisify(gzip);

/** `lograft debug ...`. */
export function addDebugCommands(program: Command, environment: CliEnvironment): void {
  const debug = program.command("debug").description("what others need to help");
  withConfigOptions(withGlobalOptions(debug.command("bundle")))
    .description(
      "write one .tar.gz with what a cluster and a configuration say of themselves: no records, no secrets; look into it " +
        "before you send it",
    )
    .option(
      "--out <file>",
      "where to (default: lograft-debug-TIME.tar.gz here); an existing file is left alone",
    )
    .option("--log <file>", "the last lines of a broker's log too; repeat for more", collect, [])
    .action(async (options: BundleOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await bundle(context, options, command.optsWithGlobals()["bootstrapServer"] !== undefined);
      });
    });
}

async function bundle(context: CliContext, options: BundleOptions, isNamed: boolean): Promise<void> {
  const { client, signal, environment, output } = context;
  const now = new Date();
  const parts = new BundleParts({ signal });
  const findings = await examine(context, options, isNamed);
  parts.json(
    "doctor.json",
    findings.map((finding) => ({ ...finding, found: redactText(finding.found) })),
  );
  if (hasConfig(options, environment.env)) await addLocal(parts, options, environment);
  const hasCluster = await parts.addCluster(client.admin());
  for (const [index, path] of options.log.entries()) await parts.addLog(path, index);
  const { version, nodeVersion } = readHost();
  const { entries, missing } = parts;
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = entries.map(({ name, content }) => ({ name, sizeBytes: content.byteLength }));
  parts.json("manifest.json", { madeAt: now.toISOString(), version, nodeVersion, files, missing });
  const folder = `lograft-debug-${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-")}`;
  const path = options.out ?? `${folder}.tar.gz`;
  const named = entries.map(({ name, content }) => ({ name: `${folder}/${name}`, content }));
  const archive = await compress(tarArchive(named, now.getTime()));
  await writeNew(path, archive);
  if (output.format === "json") output.json({ path, sizeBytes: archive.byteLength, files, missing });
  else {
    for (const { name, sizeBytes } of files) output.line(`${formatBytes(sizeBytes).padStart(10)}  ${name}`);
    for (const { name, cause } of missing) output.note(`not there: ${name}: ${cause}`);
    output.line(
      `${path}: ${formatBytes(archive.byteLength)}; look into it before you send it: tar -xzf ${path}`,
    );
  }
  if (!hasCluster) environment.exit(EXIT.PARTLY_FAILED);
}

/** The configuration, when it is valid, and what is in its data directory. */
async function addLocal(parts: BundleParts, options: ConfigOptions, { env }: CliEnvironment): Promise<void> {
  try {
    const effective = await effectiveConfig(options, env);
    parts.addConfig(effective);
    const [directory] = effective.parsed.config.logDirs;
    if (directory !== undefined) await parts.addDirectory(directory);
  } catch (error: unknown) {
    if (!isLograftError(error) || error.code !== "CONFIG_INVALID") throw error;
    parts.missing.push({ name: "local/config.properties", cause: redactText(error.message) });
  }
}

/** For its owner's eyes. @throws LograftError INVALID_ARGUMENT. */
async function writeNew(path: string, content: Uint8Array): Promise<void> {
  try {
    await writeFile(path, content, { flag: "wx", mode: 0o600 });
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    throw operationError("INVALID_ARGUMENT", `--out ${path}: cannot be written (${why}); name another file`, {
      cause,
    });
  }
}
