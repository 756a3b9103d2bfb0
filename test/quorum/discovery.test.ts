import { expect, test } from "vitest";
import { operationError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Discovery } from "../../src/quorum/discovery.ts";
import type { HelloAnswer } from "../../src/quorum/founding.ts";
import type { Hello } from "../../src/quorum/raft-transport.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

function hello(id: number): Hello {
  return {
    nodeId: nodeId(id),
    directoryId: `d${id}`,
    endpoint: `h${id}:1`,
    clusterId: undefined,
    foundingVoters: [],
    voters: [],
    leader: undefined,
    epoch: 0,
  };
}

interface Setup {
  readonly scheduler: Scheduler;
  readonly discovery: Discovery;
  readonly rounds: (readonly HelloAnswer[])[];
  readonly state: { isNeeded: boolean };
}

/** "h1" answers, "h2" refuses, "h3" never says anything. */
function setup(): Setup {
  const scheduler = new Scheduler();
  const rounds: (readonly HelloAnswer[])[] = [];
  const state = { isNeeded: true };
  const discovery = new Discovery(
    { initialMs: 10, maxMs: 100, timeoutMs: 50 },
    {
      clock: new SimClock({}, { scheduler }),
      random: new SeededRandom(1),
      logger: silentLogger,
      transport: {
        send: () => undefined,
        heardFrom: () => undefined,
        retain: () => undefined,
        hello: (endpoint, _mine, signal) => {
          if (endpoint === "h1:1") return Promise.resolve(hello(1));
          if (endpoint === "h2:1") return Promise.reject(operationError("CONNECTION_FAILED", "refused"));
          return new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
          });
        },
      },
      isNeeded: () => state.isNeeded,
      endpoints: () => ["h1:1", "h2:1", "h3:1"],
      selfHello: () => hello(9),
      onAnswers: (answers) => {
        rounds.push(answers);
        return Promise.resolve();
      },
    },
  );
  return { scheduler, discovery, rounds, state };
}

test("a round asks all at once, waits a bounded time, and tells who answered", async () => {
  const { scheduler, discovery, rounds } = setup();
  discovery.start();
  await scheduler.advance(51);
  expect(rounds).toHaveLength(1);
  expect(rounds[0]?.map((answer) => answer.hello?.nodeId)).toEqual([1, undefined, undefined]);
  await discovery.close();
});

test("rounds become rarer, news makes one at once, and none come when nothing is needed", async () => {
  const { scheduler, discovery, rounds, state } = setup();
  discovery.start();
  await scheduler.advance(2000);
  const many = rounds.length;
  expect(many).toBeGreaterThan(8);
  expect(many).toBeLessThan(18);
  await scheduler.runUntil(() => rounds.length > many, 1000);
  discovery.wake();
  const count = rounds.length;
  await scheduler.advance(52);
  expect(rounds).toHaveLength(count + 1);
  state.isNeeded = false;
  await scheduler.advance(200);
  const last = rounds.length;
  await scheduler.advance(2000);
  expect(rounds).toHaveLength(last);
  await scheduler.settle(discovery.close(), 10);
});

test("closing ends a question that hangs", async () => {
  const { scheduler, discovery, rounds } = setup();
  discovery.start();
  await scheduler.advance(5);
  await scheduler.settle(discovery.close(), 1);
  expect(rounds).toEqual([]);
});
