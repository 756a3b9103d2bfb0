import { expect, test } from "vitest";
import { ClientProcess } from "../../src/sim/client-process.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";

function start(): {
  readonly scheduler: Scheduler;
  readonly host: ClientProcess;
  readonly seen: string[];
  readonly see: (what: string) => () => void;
} {
  const scheduler = new Scheduler();
  const seen: string[] = [];
  const see = (what: string) => (): void => {
    seen.push(what);
  };
  return { scheduler, host: new ClientProcess({ machine: 3 }, { scheduler }), seen, see };
}

test("a process that stands still hears nothing, and then its timers before what came for it", async () => {
  const { scheduler, host, seen, see } = start();
  host.deliver(see("before"));
  host.pause();
  host.deliver(see("message"));
  host.clock.setTimer(10, see("timer"));
  await scheduler.advance(100);
  expect(seen).toEqual(["before"]);
  host.resume();
  await scheduler.advance(0);
  expect(seen).toEqual(["before", "timer", "message"]);
  expect(host.isPaused).toBe(false);
});

test("of a process that died nothing happens any more, and who waits for that hears it once", async () => {
  const { scheduler, host, seen, see } = start();
  const forget = host.onDeath(see("forgotten"));
  host.onDeath(see("death"));
  host.clock.setTimer(10, see("timer"));
  host.pause();
  host.deliver(see("message"));
  forget();
  host.die();
  host.die();
  host.resume();
  host.deliver(see("message"));
  await scheduler.advance(100);
  expect(seen).toEqual(["death"]);
  expect(host.isAlive).toBe(false);
});
