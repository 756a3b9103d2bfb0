import { expect } from "vitest";
import type { FakeBrokers } from "./fake-brokers.ts";
import { cli } from "./harness.ts";
import type { CliInput, CliRun } from "./harness.ts";

/** Runs a command against fake broker 1. Ports are random: the output has 90010 for broker 1's, and so on. */
export async function fakeCli(
  fake: FakeBrokers,
  args: readonly string[],
  input: CliInput = {},
): Promise<CliRun> {
  const run = await cli(args, { env: { LOGRAFT_BROKERS: fake.address(1) }, ...input });
  let { stdout, stderr } = run;
  for (const { nodeId, port } of fake.brokers) {
    stdout = stdout.replaceAll(String(port), `900${nodeId}0`);
    stderr = stderr.replaceAll(String(port), `900${nodeId}0`);
  }
  return { ...run, stdout, stderr };
}

/** As `fakeCli`, for a command that must succeed; answers its stdout. */
export async function expectDone(fake: FakeBrokers, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await fakeCli(fake, args);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr });
  return stdout;
}
