import type { Command } from "commander";
import { isLograftError } from "../../client/errors.ts";
import type { FeatureLevel } from "../../client/index.ts";
import { collect, parseInteger, parsePairList } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import type { Output } from "../output.ts";

interface UpgradeOptions {
  readonly feature: readonly string[];
  readonly dryRun?: boolean;
}

/** `lograft features ...`: describe, upgrade. */
export function addFeaturesCommands(program: Command, environment: CliEnvironment): void {
  const features = program
    .command("features")
    .description("which formats and rules the cluster uses: levels that all brokers have agreed on");

  withGlobalOptions(features.command("describe"))
    .description("each feature with its level and what the asked broker supports")
    .action(async (_options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        const cluster = await client.admin().describeCluster({ signal });
        printFeatures(output, cluster.features);
      });
    });

  withGlobalOptions(features.command("upgrade"))
    .description("finalize higher levels, once every broker supports them; there is no way back")
    .option(
      "--feature <name=level>",
      "this feature; repeat for more (default: all, as high as can be)",
      collect,
      [],
    )
    .option("--dry-run", "check, change nothing")
    .action(async (options: UpgradeOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await upgrade(context, options);
      });
    });
}

async function upgrade(context: CliContext, options: UpgradeOptions): Promise<void> {
  const { output, signal } = context;
  const named = parsePairList(options.feature, "--feature").map(([name, level]) => ({
    name,
    level: parseInteger(level, `--feature ${name}`, 0),
  }));
  const admin = context.client.admin();
  const wanted = named.length > 0 ? named : highest((await admin.describeCluster({ signal })).features);
  const isDryRun = options.dryRun === true;
  const done: FeatureLevel[] = [];
  for (const { name, level } of wanted) {
    try {
      done.push(await admin.updateFeature(name, level, { isDryRun, signal }));
    } catch (error: unknown) {
      // The first of several may be finalized already, which is not undone.
      if (done.length === 0 || isDryRun || !isLograftError(error)) throw error;
      output.note(`lograft: ${error.message}`);
      context.environment.exit(EXIT.PARTLY_FAILED);
      break;
    }
  }
  if (output.format === "json") {
    output.json(done.map(featureAsJson));
    return;
  }
  for (const { name, level } of done) {
    output.note(`${name} ${isDryRun ? "could be" : "is"} at level ${level}${isDryRun ? "" : " now"}`);
  }
  if (wanted.length === 0) output.note("every feature is at its highest level already");
}

function highest(
  features: readonly FeatureLevel[],
): readonly { readonly name: string; readonly level: number }[] {
  return features.flatMap(({ name, level, max }) => (max > level ? [{ name, level: max }] : []));
}

function printFeatures(output: Output, features: readonly FeatureLevel[]): void {
  output.rows(
    [
      { title: "FEATURE", cell: (row) => row.name },
      { title: "LEVEL", cell: (row) => row.level, align: "right" },
      { title: "MIN", cell: (row) => row.min, align: "right" },
      { title: "MAX", cell: (row) => row.max, align: "right" },
    ],
    features,
    { empty: "no features", toJson: featureAsJson },
  );
}

function featureAsJson({ name, level, min, max }: FeatureLevel): unknown {
  return { name, level, min, max };
}
