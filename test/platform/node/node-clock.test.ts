import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { NodeClock } from "../../../src/platform/node/node-clock.ts";
import { clockContract } from "../../contract/clock.ts";

clockContract("NodeClock", () => ({ clock: new NodeClock(), settle: async (promise) => promise }));

test("a timer longer than Node's own limit neither fires at once nor is refused by Node", async () => {
  const clock = new NodeClock();
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  let hasFired = false;
  const timer = clock.setTimer(2 ** 31 + 5, () => {
    hasFired = true;
  });
  await clock.sleep(5);
  process.off("warning", onWarning);
  expect(hasFired).toBe(false);
  expect(warnings).toEqual([]);
  timer.cancel();
});

test("a pending timer does not keep the process alive", () => {
  const module = new URL("../../../src/platform/node/node-clock.ts", import.meta.url).href;
  const code = `import { NodeClock } from ${JSON.stringify(module)}; new NodeClock().setTimer(60_000, () => {});`;
  const result = spawnSync(process.execPath, ["--input-type=module", "-e", code], { timeout: 10_000 });
  expect(result.status).toBe(0);
});
