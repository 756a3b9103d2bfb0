import { abortable, deadlineSignal, throwIfAborted } from "../../base/abort.ts";
import { LograftError } from "../../base/errors.ts";
import type { BrokerConfig } from "../../model/configs.ts";
import { Exposition } from "../../model/exposition.ts";
import { KAFKA_METRICS, METRICS } from "../../model/metric-table.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Disk } from "../../platform/disk.ts";
import type { BrokerParts } from "../broker-parts.ts";
import type { BrokerExposition, KafkaExposition } from "./broker-exposition.ts";
import { addClusterMetrics } from "./cluster-metrics.ts";
import { addGroupMetrics } from "./group-metrics.ts";
import { surveyGroups } from "./group-survey.ts";
import type { GroupSurvey } from "./group-survey.ts";
import { addKafkaGroups, addKafkaMetrics } from "./kafka-metrics.ts";
import { addLogMetrics } from "./log-metrics.ts";
import { addRaftMetrics } from "./raft-metrics.ts";

/** The parts of a broker that metrics are read from. */
export type MetricsParts = Pick<
  BrokerParts,
  "node" | "logs" | "table" | "groups" | "fullDisk" | "requests" | "fetch"
>;

export interface BrokerMetricsDeps {
  readonly parts: MetricsParts;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly callsInProgress: () => number;
}

/** How long each is waited for: when it hangs, the other metrics are wanted most. */
const DISK_ANSWER_MS = 1000;
const GROUPS_ANSWER_MS = 4000;

/**
 * Reads the metrics of a broker when somebody asks for them. Nothing is gathered in between but plain counts, so who does
 * not scrape does not pay.
 */
export class BrokerMetrics {
  readonly #config: BrokerConfig;
  readonly #deps: BrokerMetricsDeps;
  /** One question at a time, however long a disk takes: each holds one of the few threads of file work. */
  #freeBytes: Promise<number> | undefined;

  constructor(config: BrokerConfig, deps: BrokerMetricsDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** The metrics of `/metrics` that a broker knows; the caller adds those of its process. @throws the reason of `signal`. */
  async collect(signal: AbortSignal): Promise<BrokerExposition> {
    const to = new Exposition(METRICS);
    const { node, logs, table } = this.#deps.parts;
    const { minInsyncReplicas, metricsPartitionLevel: isPartitionLevel } = this.#config;
    const { nodeId, image } = node;
    addClusterMetrics(to, image, { nodeId, minInsyncReplicas });
    addRaftMetrics(to, node);
    addLogMetrics(to, { logs, table }, { isPartitionLevel });
    this.#addTraffic(to);
    const survey = await this.#survey(signal);
    to.add("lograft_scrape_complete", { part: "groups" }, survey === undefined ? 0 : 1);
    if (survey !== undefined) addGroupMetrics(to, survey, { isPartitionLevel });
    await this.#addDisk(to, signal);
    return to;
  }

  /** The metrics of `/metrics/kafka`. @throws the reason of `signal`. */
  async collectKafka(signal: AbortSignal): Promise<KafkaExposition> {
    const to = new Exposition(KAFKA_METRICS);
    const { node, logs, table } = this.#deps.parts;
    const { nodeId, image, quorum } = node;
    addKafkaMetrics(to, { nodeId, image, table, logs, isController: quorum.role.isActive });
    const survey = await this.#survey(signal);
    if (survey !== undefined) addKafkaGroups(to, survey);
    return to;
  }

  /** Undefined: the coordinator did not answer in time, as when its log cannot be replicated. @throws the reason of `signal`. */
  async #survey(signal: AbortSignal): Promise<GroupSurvey | undefined> {
    const { clock, parts } = this.#deps;
    const { node, logs, table, groups } = parts;
    using deadline = deadlineSignal(clock, GROUPS_ANSWER_MS, signal);
    try {
      const { nodeId, image } = node;
      return await surveyGroups({ nodeId, image, groups, table, logs }, deadline.signal);
    } catch (error: unknown) {
      throwIfAborted(signal);
      if (!deadline.signal.aborted) throw error;
      return undefined;
    }
  }

  #addTraffic(to: BrokerExposition): void {
    const { callsInProgress, parts } = this.#deps;
    const { table, requests, fetch } = parts;
    for (const [topic, { recordsIn, recordsOut, bytesIn, bytesOut }] of table.traffic()) {
      to.add("lograft_records_total", { direction: "in", topic }, recordsIn);
      to.add("lograft_records_total", { direction: "out", topic }, recordsOut);
      to.add("lograft_bytes_total", { direction: "in", topic }, bytesIn);
      to.add("lograft_bytes_total", { direction: "out", topic }, bytesOut);
    }
    for (const { api, code, count } of requests.counts()) {
      to.add("lograft_requests_total", { api, code }, count);
    }
    for (const { api, phase, reading } of requests.durations()) {
      to.addHistogram("lograft_request_duration_seconds", { api, phase }, reading);
    }
    const { shrinks, expands } = table.isrChanges;
    to.add("lograft_isr_changes_total", { direction: "shrink" }, shrinks);
    to.add("lograft_isr_changes_total", { direction: "expand" }, expands);
    to.add("lograft_calls_in_progress", {}, callsInProgress());
    to.add("lograft_fetch_sessions", {}, fetch.sessionCount);
  }

  async #addDisk(to: BrokerExposition, signal: AbortSignal): Promise<void> {
    const { clock, disk, parts } = this.#deps;
    const { fullDisk, logs } = parts;
    to.add("lograft_disk_degraded", {}, fullDisk.isFull || logs.isOffline ? 1 : 0);
    const directory = this.#config.logDirs[0] ?? ".";
    this.#freeBytes ??= disk.freeBytes(directory).finally(() => {
      this.#freeBytes = undefined;
    });
    using deadline = deadlineSignal(clock, DISK_ANSWER_MS, signal);
    const part = "disk";
    try {
      to.add("lograft_disk_free_bytes", {}, await abortable(this.#freeBytes, deadline.signal));
      to.add("lograft_scrape_complete", { part }, 1);
    } catch (error: unknown) {
      throwIfAborted(signal);
      if (!(error instanceof LograftError)) throw error;
      to.add("lograft_scrape_complete", { part }, 0);
    }
  }
}
