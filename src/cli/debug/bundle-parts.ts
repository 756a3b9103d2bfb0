import { basename } from "node:path";
import { errorMessage } from "../../base/errors.ts";
import { isLograftError } from "../../client/errors.ts";
import type { Admin, ClusterBroker, NodeDetails, PartitionState } from "../../client/index.ts";
import { describeBrokerConfig } from "../../model/configs.ts";
import { clientEndpoint } from "../cluster-survey.ts";
import type { EffectiveConfig } from "../commands/config.ts";
import { askLocal } from "../local-health.ts";
import { lastLines, listFiles } from "./local-files.ts";
import { redactSetting, redactText } from "./redact.ts";
import type { TarEntry } from "./tar.ts";

/** Of each question. */
const ASK_TIMEOUT_MS = 5000;
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
const MAX_GROUPS = 200;
const MAX_PARTITIONS = 5000;

/** Gathers the files of a bundle. What cannot be had is noted, and the rest is gathered all the same. */
export class BundleParts {
  readonly entries: TarEntry[] = [];
  /** Files that are not there, with why. */
  readonly missing: { readonly name: string; readonly cause: string }[] = [];
  readonly #signal: AbortSignal;

  constructor(options: { readonly signal: AbortSignal }) {
    this.#signal = options.signal;
  }

  json(name: string, value: unknown): void {
    this.text(name, `${JSON.stringify(value, plainErrors, 2)}\n`);
  }

  text(name: string, text: string): void {
    this.entries.push({ name, content: Buffer.from(text) });
  }

  /** Brokers and quorum, partitions that are not in order, topics, groups, and each broker's settings and pages. */
  async addCluster(admin: Admin): Promise<boolean> {
    const bounds = { timeoutMs: ASK_TIMEOUT_MS, signal: this.#signal };
    const cluster = await this.#try("cluster.json", () => admin.describeCluster(bounds));
    if (cluster === undefined) return false;
    this.json("cluster.json", cluster);
    await this.#ask("quorum.json", () => admin.describeQuorum(bounds));
    await this.#ask("partitions-in-trouble.json", async () => inTrouble(await admin.listPartitions(bounds)));
    await this.#ask("reassignments.json", () => admin.listReassignments(bounds));
    await this.#ask("topics.json", async () => {
      const topics = await admin.listTopics({ ...bounds, includeInternal: true });
      const names = topics.slice(0, MAX_GROUPS).map(({ name }) => name);
      const details = await admin.describeTopics(names, { ...bounds, throwOnError: false });
      const configs = details.map(({ name, configs: all }) => ({
        name,
        configs: all.filter(({ source }) => source === "topic").map(shownSetting),
      }));
      return { topics, configs };
    });
    await this.#ask("groups.json", async () => {
      const { groups, missing } = await admin.listGroups(bounds);
      const ids = groups.slice(0, MAX_GROUPS).map(({ groupId }) => groupId);
      const details = await admin.describeGroups(ids, { ...bounds, throwOnError: false });
      return { groups, missing, details };
    });
    await Promise.all(cluster.brokers.map((broker) => this.#addBroker(admin, broker)));
    return true;
  }

  /** The settings of a configuration, each with where it comes from. */
  addConfig({ parsed, settings }: EffectiveConfig): void {
    const rows = describeBrokerConfig(parsed).map(({ name, value }) => {
      const origin = settings.get(name)?.origin ?? "default";
      return `${name}=${redactSetting(name, value)}  # ${origin}`;
    });
    this.text("local/config.properties", `${rows.join("\n")}\n`);
  }

  /** Names and sizes of what is in a data directory. */
  async addDirectory(directory: string): Promise<void> {
    this.text("local/data-directory.txt", await listFiles(directory));
  }

  /** The end of a log file. */
  async addLog(path: string, index: number): Promise<void> {
    const name = `local/log-${index + 1}-${basename(path).slice(-60)}`;
    try {
      this.text(name, redactText(await lastLines(path)));
    } catch (error: unknown) {
      this.missing.push({ name, cause: errorMessage(error) });
    }
  }

  async #addBroker(admin: Admin, broker: ClusterBroker): Promise<void> {
    const folder = `brokers/${broker.nodeId}`;
    const at = { address: clientEndpoint(broker), timeoutMs: ASK_TIMEOUT_MS, signal: this.#signal };
    const node = await this.#try(`${folder}/node.json`, () => admin.describeNode(at));
    if (node !== undefined) this.json(`${folder}/node.json`, node);
    await this.#ask(`${folder}/config.json`, async () => {
      const { configs } = await admin.describeBrokerConfig(at);
      return configs.map(shownSetting);
    });
    if (node !== undefined) await this.#addPages(folder, broker, node);
  }

  async #addPages(folder: string, { host }: ClusterBroker, { httpPort, nodeId }: NodeDetails): Promise<void> {
    if (httpPort === undefined || httpPort === 0) return;
    const options = { timeoutMs: ASK_TIMEOUT_MS, signal: this.#signal, maxBytes: MAX_PAGE_BYTES };
    const get = (path: string): Promise<string> =>
      askLocal({ host, port: httpPort, path }, options).then(({ body }) => body);
    const health = await this.#try(`${folder}/healthz.json`, () => get("/healthz?verbose"));
    // Where ports are published under other numbers, another broker may be there.
    if (health === undefined || !health.includes(`"nodeId": ${nodeId},`)) return;
    this.text(`${folder}/healthz.json`, health);
    for (const [page, name] of [
      ["/metrics", "metrics.txt"],
      ["/metrics/kafka", "metrics-kafka.txt"],
    ] as const) {
      const text = await this.#try(`${folder}/${name}`, () => get(page));
      if (text !== undefined) this.text(`${folder}/${name}`, text);
    }
  }

  async #ask(name: string, question: () => Promise<unknown>): Promise<void> {
    const answer = await this.#try(name, question);
    if (answer !== undefined) this.json(name, answer);
  }

  async #try<T>(name: string, question: () => Promise<T>): Promise<T | undefined> {
    try {
      return await question();
    } catch (error: unknown) {
      if (!isLograftError(error) || this.#signal.aborted) throw error;
      this.missing.push({ name, cause: error.message });
      return undefined;
    }
  }
}

/** Partitions without a leader or with a replica out of sync, and how many there are in all. */
function inTrouble(partitions: readonly PartitionState[]): unknown {
  const found = partitions.filter(
    ({ leaderId, isr, replicas }) => leaderId < 0 || isr.length < replicas.length,
  );
  return { all: partitions.length, inTrouble: found.length, partitions: found.slice(0, MAX_PARTITIONS) };
}

function shownSetting({ name, value, source }: { name: string; value: string; source: string }): unknown {
  return { name, value: redactSetting(name, value), source };
}

/** Errors have no fields of their own that JSON would show. */
function plainErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? errorMessage(value) : value;
}
