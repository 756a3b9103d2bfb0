import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { operationError } from "../base/errors.ts";
import type { ChaosOptions, ChaosResult } from "../chaos/chaos-run.ts";
import { runChaos } from "../chaos/chaos-run.ts";
import type { FaultKind } from "../chaos/fault.ts";
import { FAULTS, GROUP_FAULTS, isFaultKind, isGroupFault } from "../chaos/fault.ts";
import { reportAsJson } from "../history/report-json.ts";
import { parseDuration, parseInteger } from "./arguments.ts";
import { exitByVerdict, printReport } from "./chaos-report.ts";
import type { CliEnvironment } from "./context.ts";
import { Output } from "./output.ts";

/** The options of `lograft chaos run`, as they were typed. */
export interface ChaosRunFlags {
  readonly minutes: string;
  readonly seed?: string;
  readonly faults?: string;
  readonly groups?: boolean;
  readonly members: string;
  readonly topics?: string;
  readonly partitions?: string;
  readonly replication: string;
  readonly rate: string;
  readonly minSends: string;
  readonly quiet: string;
  readonly set: readonly string[];
  readonly dir?: string;
  readonly json?: string;
}

const SEEDS = 1_000_000;
/** `lograft chaos run groups`: a group is hit in every way, and now and then a leader of what it reads. */
const GROUPS_SCENARIO = "groups";
const GROUPS_FAULTS: readonly FaultKind[] = [...GROUP_FAULTS, "kill-leader"];

/**
 * `lograft chaos run`: a run, its tables, and the exit code of its verdict. The data of the brokers are evidence only
 * where something is wrong; the directory stays if it was named, or for a violation.
 */
export async function runScenario(
  scenario: string | undefined,
  flags: ChaosRunFlags,
  environment: CliEnvironment,
): Promise<void> {
  const faults = faultsOf(scenario, flags);
  const hasGroup = flags.groups === true || scenario === GROUPS_SCENARIO || faults.some(isGroupFault);
  const chosen = optionsOf(flags, hasGroup);
  const { stdout, stderr, signal } = environment;
  const output = new Output({ format: flags.json === "-" ? "json" : "table", stdout, stderr });
  const directory =
    flags.dir === undefined ? await mkdtemp(join(tmpdir(), "lograft-chaos-")) : resolve(flags.dir);
  await mkdir(directory, { recursive: true });
  const startedAt = performance.now();
  const told = (text: string): void => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    output.note(`${seconds.padStart(7)} s  ${text}`);
  };
  output.note(`seed ${chosen.seed}, ${flags.minutes} minutes, faults: ${faults.join(", ") || "none"}`);
  let isEvidence = false;
  try {
    const result = await runChaos({ ...chosen, directory, faults }, { told, signal });
    isEvidence = result.report.verdict === "violation";
    await showResult(result, { output, json: flags.json, seed: chosen.seed });
    exitByVerdict(result.report, environment);
  } finally {
    if (!isEvidence) {
      const removed = flags.dir === undefined ? directory : join(directory, "data");
      await rm(removed, { recursive: true, force: true });
      if (flags.dir !== undefined) await rm(join(directory, "disks"), { recursive: true, force: true });
    }
    if (isEvidence || flags.dir !== undefined) {
      output.note(`kept in ${directory}; judge it again with: lograft chaos check ${directory}/history`);
    }
  }
}

async function showResult(
  { report, skipped }: ChaosResult,
  how: { readonly output: Output; readonly json: string | undefined; readonly seed: number },
): Promise<void> {
  const { output, json, seed } = how;
  const asJson = { ...reportAsJson(report), seed, node: process.version, skipped };
  if (output.format === "json") output.json(asJson);
  else printReport(output, report);
  for (const [kind, reason] of Object.entries(skipped)) output.note(`*** SKIPPED: ${kind}: ${reason}`);
  if (json !== undefined && output.format === "table") {
    await writeFile(json, `${JSON.stringify(asJson, null, 2)}\n`);
  }
}

/** The faults of a scenario, or those of a list; those of groups are among all with `groups`. @throws INVALID_ARGUMENT. */
export function faultsOf(
  scenario: string | undefined,
  { faults: list, groups = false }: Pick<ChaosRunFlags, "faults" | "groups">,
): readonly FaultKind[] {
  if (scenario !== undefined && list !== undefined) {
    throw operationError(
      "INVALID_ARGUMENT",
      `${scenario} and --faults ${list}: name the faults one way only`,
    );
  }
  const text = list ?? scenario ?? "all";
  if (text === "all") return groups ? [...FAULTS, ...GROUP_FAULTS] : FAULTS;
  if (text === GROUPS_SCENARIO) return GROUPS_FAULTS;
  if (text === "none") return [];
  return text.split(",").map((name) => {
    if (isFaultKind(name)) return name;
    const names = [...FAULTS, GROUPS_SCENARIO, ...GROUP_FAULTS].join(", ");
    throw operationError("INVALID_ARGUMENT", `no fault ${name}; there is all, none, ${names}`);
  });
}

function optionsOf(flags: ChaosRunFlags, hasGroup: boolean): Omit<ChaosOptions, "directory" | "faults"> {
  const minutes = Number(flags.minutes);
  if (!Number.isFinite(minutes) || minutes <= 0) {
    throw operationError("INVALID_ARGUMENT", `--minutes ${flags.minutes}: a number above 0, such as 0.5`);
  }
  return {
    seed: flags.seed === undefined ? Date.now() % SEEDS : parseInteger(flags.seed, "--seed", 0),
    durationMs: minutes * 60_000,
    topics: parseInteger(flags.topics ?? (hasGroup ? "1" : "4"), "--topics", 1),
    partitionsEach: parseInteger(flags.partitions ?? (hasGroup ? "100" : "2"), "--partitions", 1),
    members: hasGroup ? parseInteger(flags.members, "--members", 1) : 0,
    replicationFactor: parseInteger(flags.replication, "--replication", 1),
    perSecond: parseInteger(flags.rate, "--rate", 1),
    minSends: parseInteger(flags.minSends, "--min-sends", 0),
    quietMs: parseDuration(flags.quiet, "--quiet"),
    settings: flags.set,
  };
}
