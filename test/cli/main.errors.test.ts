import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBroker } from "../../src/testing.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { cli as runCommand } from "./harness.ts";
import type { CliInput, CliRun } from "./harness.ts";

/* What people read when something is wrong: each message names the thing, the cause and the next step. */

let broker: RunningBroker;

beforeAll(async () => {
  broker = await startBroker({ config: { "auto.create.topics.enable": "false", "num.partitions": "2" } });
  await cli(["topic", "create", "orders"]);
});

afterAll(async () => {
  await broker.close();
});

function cli(args: readonly string[], input: CliInput = {}): Promise<CliRun> {
  return runCommand(args, { env: { LOGRAFT_BROKERS: broker.address }, ...input });
}

test.each([
  ["../x", "a topic name is made of letters, digits, '.', '_' and '-'"],
  ["", "a topic name cannot be empty"],
  ["x".repeat(250), "a topic name has at most 249 characters, this one has 250"],
  ["..", 'a topic cannot be named ".."'],
  ["a\u001b[31mb\nc", "a topic name is made of letters"],
  ["订单", "a topic name is made of letters"],
])("the topic name %j is refused with the rule, and cannot steer the terminal", async (name, message) => {
  const { code, stderr, stdout } = await cli(["topic", "create", name]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(message);
  expect(stderr).not.toContain("\u001b");
});

test("the longest name is taken", async () => {
  expect((await cli(["topic", "create", "x".repeat(249)])).code).toBe(0);
});

test.each([
  [["topic", "describe", "nope"]],
  [["topic", "delete", "nope", "--yes"]],
  [["topic", "alter-config", "nope", "-s", "retention.ms=1"]],
  [["topic", "add-partitions", "nope", "-t", "2"]],
  [["topic", "offsets", "nope"]],
  [["topic", "trim", "nope", "--before", "1", "--yes"]],
  [["consume", "nope"]],
  [["bench", "consume", "nope"]],
  [["produce", "nope", "--value", "x"]],
])("an unknown topic: %j ends with 3 and says what to do", async (args) => {
  const { code, stderr } = await cli(args);
  expect(stderr).toMatch(/topic nope does not exist; create it or check the spelling/);
  expect(code).toBe(3);
});

test.each([
  [["consume", "orders", "-p", "7"], "-p 7: there is no such partition; orders has 2, from 0 up"],
  [
    ["topic", "trim", "orders", "--before", "0", "--partition", "9", "--yes"],
    "--partition 9: orders has the partitions 0 to 1",
  ],
])("an unknown partition: %j ends with 3", async (args, message) => {
  const { code, stderr } = await cli(args);
  expect(stderr).toContain(message);
  expect(code).toBe(3);
});

test("an existing topic ends with 4", async () => {
  const { code, stderr } = await cli(["topic", "create", "orders"]);
  expect(stderr).toContain("topic orders exists; choose another name or delete that one first");
  expect(code).toBe(4);
});

test.each([
  [
    ["topic", "create", "a", "-c", "retention.mss=1"],
    'unknown key "retention.mss"; did you mean retention.ms?',
  ],
  [["topic", "alter-config", "orders", "-s", "max.message.byte=1"], "did you mean max.message.bytes?"],
  [["topic", "create", "a", "-c", "retention.ms=soon"], 'retention.ms = "soon" is not valid'],
  [["topic", "create", "a", "-c", "cleanup.policy=shred"], "cleanup.policy"],
  [["topic", "create", "a", "-p", "0"], "--partitions 0: a whole number from 1 up is needed"],
  [["topic", "create", "a", "-r", "3"], "3 replicas of each partition, 1 broker is registered"],
  [["topic", "add-partitions", "orders", "-t", "1"], "orders"],
  [["topic", "alter-config", "orders"], "nothing to change: give --set key=value or --unset key"],
  [["produce", "orders", "--value", "x", "-p", "9"], "topic orders has partitions 0 to 1, not 9"],
  [["consume", "orders", "-o", "55"], "-o 55: orders-0 holds the offsets 0 to"],
  [
    ["topic", "delete", "orders"],
    "this would delete orders and all records in it; give --yes to do it from a script",
  ],
])("%j ends with 2", async (args, message) => {
  const { code, stderr } = await cli(args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});

describe("oversized records", () => {
  test("a line longer than --max-line", async () => {
    const stdin = Readable.from([`ok\n${"x".repeat(2000)}\n`]);
    const { code, stderr } = await cli(["produce", "orders", "--max-line", "1KiB"], { stdin });
    expect(stderr).toContain("line 2 is longer than 1024 bytes; raise --max-line");
    expect(stderr).toContain("stopped after 1 record, all of them acknowledged");
    expect(code).toBe(2);
  });

  test("a record larger than the topic takes names both sizes and the setting", async () => {
    await cli(["topic", "create", "small", "-c", "max.message.bytes=1000"]);
    const { code, stderr } = await cli(["produce", "small", "--value", "x".repeat(2000)]);
    expect(stderr).toMatch(/2\d{3} bytes.*1000.*max\.message\.bytes/);
    expect(code).toBe(1);
  });

  test("the first failure ends an input that never ends", async () => {
    await cli(["topic", "create", "tiny", "-c", "max.message.bytes=1000"]);
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        yield Buffer.from(`${"x".repeat(2000)}\n`);
        await Promise.resolve();
      }
    }
    const { code, stderr } = await cli(["produce", "tiny"], { stdin: Readable.from(endless()) });
    expect(stderr).toContain("max.message.bytes");
    expect(code).toBe(1);
  });
});

describe("a broker that does not answer", () => {
  const commands = [
    ["topic", "list"],
    ["topic", "create", "t"],
    ["produce", "orders", "--value", "x"],
    ["consume", "orders"],
  ];

  test.each(commands)(
    "nobody listens: %s %s ends with 6 within --timeout and says what to do",
    async (...args) => {
      const startedAt = performance.now();
      const { code, stderr } = await cli([...args, "-b", "127.0.0.1:1", "--timeout", "500ms"]);
      expect(stderr).toContain("is a broker running at 127.0.0.1:1? Start one with: lograft start");
      expect(code).toBe(6);
      expect(performance.now() - startedAt).toBeLessThan(15_000);
    },
  );

  test.each(commands)(
    "somebody listens and says nothing: %s %s ends with 6 within --timeout",
    async (...args) => {
      const silent = createServer();
      await new Promise<void>((resolve) => {
        silent.listen(0, "127.0.0.1", resolve);
      });
      try {
        const { port } = silent.address() as AddressInfo;
        const startedAt = performance.now();
        const { code, stderr } = await cli([...args, "-b", `127.0.0.1:${port}`, "--timeout", "500ms"]);
        expect(stderr).toContain(`127.0.0.1:${port}`);
        expect(code).toBe(6);
        expect(performance.now() - startedAt).toBeLessThan(15_000);
      } finally {
        silent.close();
      }
    },
  );
});
