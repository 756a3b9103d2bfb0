import { LograftClient, type LograftClientOptions } from "../../src/client/index.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { FakeCluster, type FakeClusterOptions } from "./fake-cluster.ts";

/** A client, a fake cluster and virtual time. */
export interface Harness {
  readonly scheduler: Scheduler;
  readonly clock: SimClock;
  readonly cluster: FakeCluster;
  readonly client: LograftClient;
  /** Runs virtual time until the promise settles. */
  readonly settle: <T>(promise: Promise<T>, limitMs?: number) => Promise<T>;
}

export function harness(
  options: FakeClusterOptions,
  client: Partial<LograftClientOptions> = {},
  seed = 1,
): Harness {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  const cluster = new FakeCluster(options, { clock });
  let pending = 0;
  let driver: Promise<void> | undefined;
  // Several may wait at once; time moves until all have settled.
  const settle = async <T>(promise: Promise<T>, limitMs = 300_000): Promise<T> => {
    pending++;
    const done = (): void => {
      pending--;
    };
    promise.then(done, done);
    driver ??= scheduler
      .runUntil(() => pending === 0, limitMs)
      .finally(() => {
        driver = undefined;
      });
    await driver;
    return promise;
  };
  return {
    scheduler,
    clock,
    cluster,
    client: new LograftClient({
      brokers: ["b0:9092"],
      clock,
      random: new SeededRandom(seed),
      transport: cluster,
      ...client,
    }),
    settle,
  };
}

/** The error that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error: unknown) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("it did not fail");
}
