import { describe, expect, test } from "vitest";
import { operationError } from "../../../src/base/errors.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { readinessChecks } from "../../../src/broker/readiness.ts";
import type { BrokerExposition, KafkaExposition } from "../../../src/broker/metrics/broker-exposition.ts";
import { Exposition } from "../../../src/model/exposition.ts";
import { KAFKA_METRICS, METRICS } from "../../../src/model/metric-table.ts";
import type { ProcessReading } from "../../../src/platform/process-stats.ts";
import { HttpPages } from "../../../src/server/http/http-pages.ts";
import { NodeHealth } from "../../../src/server/http/node-health.ts";
import type { WatchedBroker } from "../../../src/server/http/node-health.ts";
import { Scheduler } from "../../../src/sim/scheduler.ts";
import { SimClock } from "../../../src/sim/sim-clock.ts";
import { samplesOf } from "../../broker/metrics/samples.ts";

const READING: ProcessReading = {
  nodeVersion: "v24.0.0",
  cpuUserSeconds: 1,
  cpuSystemSeconds: 2,
  startTimeSeconds: 1_000_000,
  residentBytes: 3,
  heapTotalBytes: 4,
  heapUsedBytes: 5,
  externalBytes: 6,
  openFiles: undefined,
  eventLoopLag: { mean: 0.1, p50: 0.2, p99: 0.3, max: 0.4 },
  gcPauses: new Map([["minor", { bounds: [1], counts: [2, 0], sum: 0.5, count: 2 }]]),
};

/** A broker whose gathering is told when to end. */
class FakeBroker implements WatchedBroker {
  isContactLost = false;
  gatherings = 0;
  onCollect: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  get readiness(): WatchedBroker["readiness"] {
    const well = { nodeId: 1, state: "running", controllerId: 1, isFenced: false } as const;
    return readinessChecks({
      ...well,
      isDiskFull: true,
      isDiskFailed: false,
      isContactLost: this.isContactLost,
    });
  }

  readonly metrics = {
    collect: async (signal: AbortSignal): Promise<BrokerExposition> => {
      this.gatherings++;
      await this.onCollect(signal);
      const to = new Exposition(METRICS);
      to.add("lograft_topics", {}, 7);
      return to;
    },
    collectKafka: (): Promise<KafkaExposition> => {
      const to = new Exposition(KAFKA_METRICS);
      to.add("kafka_brokers", {}, 3);
      return Promise.resolve(to);
    },
  } as unknown as WatchedBroker["metrics"];
}

function setUp(): { scheduler: Scheduler; health: NodeHealth; broker: FakeBroker; pages: HttpPages } {
  const scheduler = new Scheduler();
  const health = new NodeHealth();
  const pages = new HttpPages(
    { nodeId: 1, version: "9.9.9" },
    {
      health,
      clock: new SimClock({}, { scheduler }),
      logger: silentLogger,
      processStats: { read: () => READING, close: () => undefined },
      connections: () => ({ client: 2 }),
    },
  );
  return { scheduler, health, broker: new FakeBroker(), pages };
}

describe("health", () => {
  test("a node that recovers is alive, not started and not ready", () => {
    const { pages } = setUp();
    expect([pages.livez().status, pages.startupz().status, pages.readyz().status]).toEqual([200, 503, 503]);
    expect(pages.readyz().body).toMatch(/^not ready: recovery: /);
  });

  test("a node in its cluster is ready, and a full disk is told beside it", () => {
    const { pages, health, broker } = setUp();
    health.started(broker);
    expect([pages.startupz().status, pages.readyz().status, pages.healthz(false).body]).toEqual([
      200,
      200,
      "ready\n",
    ]);
    const { status, body, contentType } = pages.healthz(true);
    expect([status, contentType]).toEqual([200, "application/json; charset=utf-8"]);
    const told = JSON.parse(body) as { checks: { name: string; isOk: boolean }[] };
    expect(told).toMatchObject({ nodeId: 1, version: "9.9.9", isReady: true, isHealthy: false });
    expect(told.checks.filter(({ isOk }) => !isOk).map(({ name }) => name)).toEqual(["disk"]);
  });

  test("each reason is a line of its own", () => {
    const { pages, health, broker } = setUp();
    health.started(broker);
    health.stopping();
    broker.isContactLost = true;
    expect(pages.livez().status).toBe(200);
    expect(pages.readyz()).toMatchObject({
      status: 503,
      body: expect.stringMatching(/^not ready: controller: .+\nnot ready: stopping: .+\n$/) as string,
    });
  });
});

describe("metrics", () => {
  test("a broker's are told with those of its process and its ports", async () => {
    const { pages, health, broker } = setUp();
    health.started(broker);
    const { status, contentType, body } = await pages.metrics();
    expect([status, contentType]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    const samples = samplesOf(body);
    expect(samples.get("lograft_topics")).toBe(7);
    expect(samples.get("lograft_ready")).toBe(1);
    expect(samples.get('lograft_check_ok{check="disk"}')).toBe(0);
    expect(samples.get('lograft_build_info{version="9.9.9",node="v24.0.0"}')).toBe(1);
    expect(samples.get('lograft_connections{port="client"}')).toBe(2);
    expect(samples.get("process_cpu_seconds_total")).toBe(3);
    expect(samples.has("process_open_fds")).toBe(false);
    expect(samples.get('nodejs_gc_duration_seconds_bucket{kind="minor",le="+Inf"}')).toBe(2);
    expect((await pages.kafkaMetrics()).body).toContain("\nkafka_brokers 3\n");
  });

  test("a node that recovers tells of its process", async () => {
    const { pages } = setUp();
    const samples = samplesOf((await pages.metrics()).body);
    expect(samples.get("lograft_ready")).toBe(0);
    expect(samples.get("process_resident_memory_bytes")).toBe(3);
    expect((await pages.kafkaMetrics()).body).toBe("");
  });

  test("who comes while a page is gathered shares it, who comes later does not", async () => {
    const { pages, health, broker } = setUp();
    health.started(broker);
    const answers = await Promise.all([pages.metrics(), pages.metrics(), pages.metrics()]);
    expect(broker.gatherings).toBe(1);
    expect(new Set(answers).size).toBe(1);
    await pages.metrics();
    expect(broker.gatherings).toBe(2);
  });

  test("a gathering that fails is told, and the next one is made anew", async () => {
    const { pages, health, broker } = setUp();
    health.started(broker);
    broker.onCollect = () => Promise.reject(operationError("CLOSED", "the broker is stopping"));
    expect(await pages.metrics()).toMatchObject({
      status: 503,
      body: "/metrics could not be gathered: the broker is stopping; try again\n",
    });
    broker.onCollect = () => Promise.resolve();
    expect((await pages.metrics()).status).toBe(200);
  });

  test("a gathering that hangs is given up before its scraper gives up", async () => {
    const { pages, health, broker, scheduler } = setUp();
    health.started(broker);
    broker.onCollect = (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    const answer = await scheduler.settle(pages.metrics(), 9999);
    expect(answer).toMatchObject({ status: 503, body: expect.stringContaining("8000 ms") as string });
  });
});
