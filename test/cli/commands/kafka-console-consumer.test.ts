import { afterAll, beforeAll, expect, test } from "vitest";
import { GroupScene } from "../group-scene.ts";
import type { CliRun } from "../harness.ts";

let scene: GroupScene;

beforeAll(async () => {
  scene = await GroupScene.start();
  await scene.topic("numbers", 2, [10, 20, 30]);
  await scene.topic("numerals", 1, [10]);
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

function consume(...args: readonly string[]): Promise<CliRun> {
  return scene.cli(["kafka-console-consumer", "--bootstrap-server", scene.address, ...args], { env: {} });
}

test("--from-beginning prints all, --max-messages ends it, and the count goes to stderr", async () => {
  const { code, stdout, stderr } = await consume(
    "--topic",
    "numbers",
    "--from-beginning",
    "--max-messages",
    "6",
  );
  expect(stdout.trimEnd().split("\n").sort()).toEqual(["0", "0", "1", "1", "2", "2"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "Processed a total of 6 messages\n" });
});

test.each([
  [["--offset", "1", "--max-messages", "2"], "1\n2\n"],
  [["--offset", "earliest", "--max-messages", "3"], "0\n1\n2\n"],
  [["--from-beginning", "--max-messages", "3"], "0\n1\n2\n"],
  [["--offset", "latest", "--timeout-ms", "500"], ""],
  [["--timeout-ms", "500"], ""],
])("--partition with %j", async (where, text) => {
  const { code, stdout } = await consume("--topic", "numbers", "--partition", "1", ...where);
  expect({ code, stdout }).toEqual({ code: 0, stdout: text });
});

test("--group commits what it printed; the next run goes on, whatever --from-beginning says", async () => {
  const args = ["--topic", "numbers", "--from-beginning", "--group", "shop", "--max-messages"];
  const first = await consume(...args, "4");
  const second = await consume(...args, "2");
  const lines = `${first.stdout}${second.stdout}`.trimEnd().split("\n");
  expect(lines.sort()).toEqual(["0", "0", "1", "1", "2", "2"]);
  expect(await scene.committed("shop")).toEqual({ "numbers-0": "3", "numbers-1": "3" });
});

test("enable.auto.commit=false prints, and commits nothing", async () => {
  const args = ["--topic", "numbers", "--from-beginning", "--max-messages", "6"];
  const properties = ["group.id=looking", "enable.auto.commit=false", "auto.offset.reset=earliest"];
  const given = properties.flatMap((one) => ["--consumer-property", one]);
  for (let run = 0; run < 2; run++) {
    const { code, stdout } = await consume(...args, ...given);
    expect(stdout.trimEnd().split("\n")).toHaveLength(6);
    expect(code).toBe(0);
  }
});

test.each([
  ["--include", "num.*", []],
  ["--whitelist", "numbers,numerals", []],
  ["--include", "num(bers|erals)", ["--group", "by-pattern"]],
])("%s %s %j reads the topics of such names", async (flag, pattern, more) => {
  const { code, stdout } = await consume(flag, pattern, "--from-beginning", "--max-messages", "7", ...more);
  expect(stdout.trimEnd().split("\n").sort()).toEqual(["0", "0", "0", "1", "1", "2", "2"]);
  expect(code).toBe(0);
});

test("--include of a part of a name takes no topic, and ends with 3", async () => {
  const { code, stderr } = await consume("--include", "num", "--from-beginning");
  expect(stderr).toContain("no topic has a name like num; see: lograft topic list");
  expect(code).toBe(3);
});

test("--isolation-level read_committed reads what is committed, as all is without transactions", async () => {
  const args = ["--topic", "numerals", "--from-beginning", "--max-messages", "1", "--isolation-level"];
  expect(await consume(...args, "read_committed")).toMatchObject({ code: 0, stdout: "0\n" });
  const unknown = await consume(...args, "serializable");
  expect(unknown.stderr).toContain(
    "--isolation-level serializable: there is read_uncommitted and read_committed",
  );
  expect(unknown.code).toBe(2);
});

test.each([
  [["--topic", "numbers", "--include", "n.*"], "needs --topic, or --include instead"],
  [["--include", "n.*", "--partition", "0"], "--partition goes with --topic"],
  [["--include", "("], "--include (: not a name, and not a regular expression"],
  [["--topic", "numbers", "--consumer-property", "retries=1"], "not known here; there is auto.offset.reset"],
  [["--topic", "numbers", "--group", "a", "--consumer-property", "group.id=b"], "say two things"],
  [["--topic", "numbers", "--consumer-property", "auto.offset.reset=none"], "there is earliest and latest"],
  [["--topic", "numbers", "--frm-beginning"], "Did you mean --from-beginning?"],
  [["--topic", "numbers", "--group", "g".repeat(250)], "it needs 1 to 249"],
])("%j ends with 2", async (args, message) => {
  const { code, stderr } = await consume(...args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});
