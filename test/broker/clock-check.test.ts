import { expect, test } from "vitest";
import type { Logger } from "../../src/base/logger.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { ClockCheck } from "../../src/broker/clock-check.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { QuorumRole } from "../../src/quorum/quorum-types.ts";
import type { Hello } from "../../src/quorum/raft-transport.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

const CONTROLLER = { nodeId: nodeId(1), directoryId: "store-1", endpoint: "a:9093" };

interface Scene {
  readonly scheduler: Scheduler;
  readonly clock: SimClock;
  readonly check: ClockCheck;
  readonly warnings: string[];
  readonly asked: string[];
}

function scene(answer: (clock: SimClock) => Promise<Pick<Hello, "wallClockMs">>): Scene {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  const [warnings, asked]: [string[], string[]] = [[], []];
  const logger: Logger = { ...silentLogger, warn: (message) => warnings.push(message) };
  const ask = async (endpoint: string): Promise<Hello> => {
    asked.push(endpoint);
    return { ...(await answer(clock)), ...HELLO };
  };
  const check = new ClockCheck({ nodeId: nodeId(2), clock, logger, ask });
  return { scheduler, clock, check, warnings, asked };
}

const HELLO = {
  ...CONTROLLER,
  clusterId: undefined,
  foundingVoters: [],
  voters: [],
  leader: undefined,
  epoch: 1,
};

function role(epoch: number, leader: QuorumRole["leader"] = CONTROLLER): QuorumRole {
  return { isActive: false, epoch, leader };
}

test("a clock that is off is told once for each controller, in one line that says by how much, of whom and what to do", async () => {
  const { scheduler, check, warnings, asked } = scene((clock) =>
    Promise.resolve({ wallClockMs: clock.wallMs() - 3_600_000 }),
  );
  check.roleChanged(role(1));
  check.roleChanged(role(1));
  await scheduler.advance(1);
  expect(warnings).toEqual([
    expect.stringMatching(
      /60 min ahead of that of broker 1, the controller .*bound: 5 s.*NTP.*lograft doctor/,
    ),
  ]);
  check.roleChanged(role(2));
  await scheduler.advance(1);
  expect(asked).toEqual(["a:9093", "a:9093"]);
  expect(warnings).toHaveLength(2);
});

test("a clock within the bound, an unknown one, an answer that fails and a controller that is here say nothing", async () => {
  const answers = [
    (clock: SimClock) => Promise.resolve({ wallClockMs: clock.wallMs() + 4999 }),
    () => Promise.resolve({}),
    () => Promise.reject(new Error("gone")),
  ];
  for (const answer of answers) {
    const { scheduler, check, warnings, asked } = scene(answer);
    check.roleChanged(role(1));
    await scheduler.advance(1);
    expect(asked).toHaveLength(1);
    expect(warnings).toEqual([]);
  }
  const { check, asked } = scene(() => Promise.resolve({}));
  check.roleChanged(role(1, { ...CONTROLLER, nodeId: nodeId(2) }));
  check.roleChanged({ isActive: false, epoch: 2, leader: undefined });
  expect(asked).toEqual([]);
});
