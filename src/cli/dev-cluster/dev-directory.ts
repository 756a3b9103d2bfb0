import { mkdir, open, readFile, readdir, rename, rm, rmdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { errorMessage, operationError } from "../../base/errors.ts";
import type { ClusterPlan, PlannedNode } from "./plan.ts";

/** What dev.json holds: the plan, and who runs it now. */
export interface DevState {
  readonly plan: ClusterPlan;
  /** The process that watches over the brokers; 0: none. It may have been killed without saying so. */
  readonly supervisorPid: number;
  /** Where the supervisor listens for commands. */
  readonly controlPath: string;
  /** Process ids of the brokers that were running when this was written, by node id. */
  readonly pids: Readonly<Record<string, number>>;
}

/** Where a cluster lies when nobody says where. */
export const DEFAULT_DIRECTORY = "./lograft-data";

const STATE_FILE = "dev.json";
const SUPERVISOR_LOG = "supervisor.log";
const FORMAT = 1;
const OWN_ENTRIES = /^(?:dev\.json(?:\.tmp)?|supervisor\.log|node-\d+(?:\.log)?)$/;

/** The directory of a development cluster: dev.json, and for each broker node-N with its data and node-N.log. */
export class DevDirectory {
  readonly path: string;
  /** What another command has to be given to mean this directory: " --dir DIR", or nothing for the default. */
  readonly option: string;

  /** @param path as the user wrote it. */
  constructor(path: string) {
    this.path = resolve(path);
    this.option = this.path === resolve(DEFAULT_DIRECTORY) ? "" : ` --dir ${path}`;
  }

  dataOf(nodeId: number): string {
    return join(this.path, `node-${nodeId}`);
  }

  logOf(nodeId: number): string {
    return join(this.path, `node-${nodeId}.log`);
  }

  /** What a supervisor in the background prints. */
  get supervisorLog(): string {
    return join(this.path, SUPERVISOR_LOG);
  }

  /** What dev.json says; undefined when there is no cluster here yet. @throws CONFIG_INVALID when it cannot be understood. */
  async read(): Promise<DevState | undefined> {
    let text: string;
    try {
      text = await readFile(join(this.path, STATE_FILE), "utf8");
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      throw operationError(
        "CONFIG_INVALID",
        `${this.path}: dev.json cannot be read (${errorMessage(cause)})`,
        {
          cause,
        },
      );
    }
    const state = parseState(text);
    if (state !== undefined) return state;
    throw operationError(
      "CONFIG_INVALID",
      `${join(this.path, STATE_FILE)} is not what "lograft dev" writes; put it back, or choose another directory with --dir`,
    );
  }

  /** As `read`. @throws CONFIG_INVALID when there is no cluster here. */
  async readExisting(): Promise<DevState> {
    const state = await this.read();
    if (state !== undefined) return state;
    throw operationError(
      "INVALID_ARGUMENT",
      `${this.path} holds no cluster of "lograft dev"; make one with: lograft dev up, or name another with --dir`,
    );
  }

  /** Makes the directory for a new cluster. @throws INVALID_ARGUMENT when it holds something else. */
  async create(): Promise<void> {
    await mkdir(this.path, { recursive: true });
    // A supervisor in the background writes there before it has a cluster.
    const entries = (await readdir(this.path)).filter((entry) => entry !== SUPERVISOR_LOG);
    if (entries.length === 0) return;
    const isBroker = entries.includes("meta.properties");
    const what = isBroker ? "the data of a single broker" : `other files (${entries.slice(0, 3).join(", ")})`;
    const next = isBroker ? `, or start that broker with: lograft start --data-dir ${this.path}` : "";
    throw operationError(
      "INVALID_ARGUMENT",
      `${this.path} holds ${what}; choose another directory with --dir${next}. Nothing was changed`,
    );
  }

  /** Replaces dev.json as a whole: whoever reads it, at any moment, reads the old or the new. */
  async write(state: DevState): Promise<void> {
    const target = join(this.path, STATE_FILE);
    const temporary = `${target}.tmp`;
    const file = await open(temporary, "w");
    try {
      await file.writeFile(`${JSON.stringify({ format: FORMAT, ...state }, undefined, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  }

  /** Removes what `dev` made here, and the directory when nothing else is in it. */
  async purge(): Promise<void> {
    const own = (await readdir(this.path)).filter((entry) => OWN_ENTRIES.test(entry));
    // dev.json last: what is left of a purge cut short is still known as ours.
    own.sort((a, b) => Number(a === STATE_FILE) - Number(b === STATE_FILE));
    for (const entry of own) await rm(join(this.path, entry), { recursive: true, force: true });
    try {
      await rmdir(this.path);
    } catch (error) {
      const code = codeOf(error);
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    }
  }
}

function parseState(text: string): DevState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || value["format"] !== FORMAT || !isRecord(value["plan"])) return undefined;
  const { nodes, settings } = value["plan"];
  if (!Array.isArray(nodes) || nodes.length === 0 || !nodes.every(isPlannedNode)) return undefined;
  if (!Array.isArray(settings) || !settings.every((setting) => typeof setting === "string")) return undefined;
  const { supervisorPid, controlPath, pids } = value;
  if (typeof supervisorPid !== "number" || typeof controlPath !== "string" || !isRecord(pids))
    return undefined;
  const known = Object.entries(pids).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  return { plan: { nodes, settings }, supervisorPid, controlPath, pids: Object.fromEntries(known) };
}

function isPlannedNode(value: unknown): value is PlannedNode {
  if (!isRecord(value) || typeof value["isFounder"] !== "boolean") return false;
  return ["nodeId", "clientPort", "peerPort"].every((name) => Number.isSafeInteger(value[name]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
