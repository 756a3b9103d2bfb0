import { abortable, deadlineSignal } from "../../base/abort.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { BrokerExposition } from "../../broker/metrics/broker-exposition.ts";
import { isReady } from "../../broker/readiness.ts";
import { Exposition, EXPOSITION_CONTENT_TYPE } from "../../model/exposition.ts";
import { METRICS } from "../../model/metric-table.ts";
import type { Clock } from "../../platform/clock.ts";
import type { ProcessStats } from "../../platform/process-stats.ts";
import type { NodeHealth } from "./node-health.ts";
import { addProcessMetrics } from "./process-metrics.ts";

/** What a page answers. */
export interface HttpAnswer {
  readonly status: 200 | 503;
  readonly contentType: string;
  readonly body: string;
}

export interface HttpPagesOptions {
  readonly nodeId: number;
  /** Of this package. */
  readonly version: string;
}

export interface HttpPagesDeps {
  readonly health: NodeHealth;
  readonly processStats: ProcessStats;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Open connections by port. */
  readonly connections: () => Readonly<Record<string, number>>;
}

const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";
/** Less than the 10 s after which Prometheus gives up by default. */
const SCRAPE_TIMEOUT_MS = 8000;

/** What the HTTP port tells, without a wire. */
export class HttpPages {
  readonly #options: HttpPagesOptions;
  readonly #deps: HttpPagesDeps;
  /** One gathering at a time for each page: who comes while it runs shares it, however many come. */
  #metrics: Promise<HttpAnswer> | undefined;
  #kafkaMetrics: Promise<HttpAnswer> | undefined;

  constructor(options: HttpPagesOptions, deps: HttpPagesDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The process answers: nothing about quorum, recovery or disks, which a restart would only set back. */
  livez(): HttpAnswer {
    return answer(true, "alive\n");
  }

  startupz(): HttpAnswer {
    const { isStarted } = this.#deps.health;
    return answer(isStarted, isStarted ? "started\n" : "the data directory is being opened and checked\n");
  }

  readyz(): HttpAnswer {
    const failed = this.#deps.health.checks().filter(({ isOk, isNeeded }) => isNeeded && !isOk);
    if (failed.length === 0) return answer(true, "ready\n");
    return answer(false, failed.map(({ name, detail }) => `not ready: ${name}: ${detail}\n`).join(""));
  }

  /** Readiness, and with `isVerbose` each check as JSON. */
  healthz(isVerbose: boolean): HttpAnswer {
    if (!isVerbose) return this.readyz();
    const checks = this.#deps.health.checks();
    const isWell = isReady(checks);
    const { nodeId, version } = this.#options;
    const body = { nodeId, version, isReady: isWell, isHealthy: checks.every(({ isOk }) => isOk), checks };
    return { ...answer(isWell, `${JSON.stringify(body, undefined, 2)}\n`), contentType: JSON_TYPE };
  }

  /** Never rejects. */
  metrics(): Promise<HttpAnswer> {
    this.#metrics ??= this.#gather("/metrics", (signal) => this.#collect(signal)).finally(() => {
      this.#metrics = undefined;
    });
    return this.#metrics;
  }

  /** Never rejects. */
  kafkaMetrics(): Promise<HttpAnswer> {
    this.#kafkaMetrics ??= this.#gather("/metrics/kafka", async (signal) =>
      String((await this.#deps.health.broker?.metrics.collectKafka(signal)) ?? ""),
    ).finally(() => {
      this.#kafkaMetrics = undefined;
    });
    return this.#kafkaMetrics;
  }

  async #collect(signal: AbortSignal): Promise<string> {
    const { health, processStats, connections } = this.#deps;
    const { version } = this.#options;
    const to: BrokerExposition = (await health.broker?.metrics.collect(signal)) ?? new Exposition(METRICS);
    const reading = processStats.read();
    to.add("lograft_build_info", { version, node: reading.nodeVersion }, 1);
    const checks = health.checks();
    to.add("lograft_ready", {}, isReady(checks) ? 1 : 0);
    for (const { name: check, isOk } of checks) to.add("lograft_check_ok", { check }, isOk ? 1 : 0);
    for (const [port, count] of Object.entries(connections())) {
      to.add("lograft_connections", { port }, count);
    }
    addProcessMetrics(to, reading);
    return to.toString();
  }

  async #gather(page: string, collect: (signal: AbortSignal) => Promise<string>): Promise<HttpAnswer> {
    const { clock, logger } = this.#deps;
    using deadline = deadlineSignal(clock, SCRAPE_TIMEOUT_MS);
    try {
      // What hangs in it may hang on: the page is answered all the same.
      const body = await abortable(collect(deadline.signal), deadline.signal);
      return { status: 200, contentType: EXPOSITION_CONTENT_TYPE, body };
    } catch (error: unknown) {
      const cause = errorMessage(error);
      logger.warn("metrics could not be gathered", { page, err: error });
      return answer(false, `${page} could not be gathered: ${cause}; try again\n`);
    }
  }
}

function answer(isOk: boolean, body: string): HttpAnswer {
  return { status: isOk ? 200 : 503, contentType: TEXT, body };
}
