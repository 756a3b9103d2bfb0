import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { kafkaTable } from "../../../src/cli/kafka-flags.ts";
import { parseIsoDuration } from "../../../src/cli/reset-target.ts";
import { cli } from "../harness.ts";

describe("wrong usage ends with 2 and says what is wrong", () => {
  test.each([
    [["group", "describe", ""], "the group id is empty; name a group"],
    [["group", "describe", "g", "--interval", "1ms"], "--interval 1ms: at least 50ms"],
    [["group", "list", "--lag-above", "much"], "--lag-above much: a whole number from 0 up"],
    [["group", "reset-offsets", "g", "--all-topics"], "say where to, once"],
    [["group", "reset-offsets", "g", "--to-earliest", "--to-latest", "--all-topics"], "say where to, once"],
    [["group", "reset-offsets", "g", "--to-earliest"], "say of what: --topic TOPIC"],
    [["group", "reset-offsets", "g", "--to-earliest", "--topic", "t", "--all-topics"], "say of what"],
    [["group", "reset-offsets", "g", "--to-earliest", "--topic", "t:0:1"], "write it as TOPIC or TOPIC:0,1"],
    [["group", "reset-offsets", "g", "--to-offset", "-1", "--all-topics"], "--to-offset -1"],
    [
      ["group", "reset-offsets", "g", "--to-datetime", "soon", "--all-topics"],
      "--to-datetime soon: not a time",
    ],
    [["group", "wait-for-lag", "g"], "required option '--below <records>' not specified"],
    [["group", "wait-for-lag", "g", "--below", "0"], "--below 0: a whole number from 1 up"],
    [["group", "delete", "g"], "give --yes to do it from a script"],
    [["consume", "t", "-g", "g", "-p", "0"], "-g reads what the group gives it"],
    [["consume", "t", "-g", "g", "-o", "5"], "-o 5: with -g there is start and end"],
    [["kafka-topics", "--list", "--zookeeper", "z:2181"], "use --bootstrap-server, there is no ZooKeeper"],
    [["kafka-console-producer", "--broker-list", "b:9092", "--topic", "t"], "use --bootstrap-server"],
    [["kafka-consumer-groups", "--zookeeper", "z:2181", "--list"], "there is no ZooKeeper"],
    [["kafka-topics"], "give exactly one action: --create, --list, --describe, --delete, --alter"],
    [["kafka-topics", "--create"], "--create needs --topic"],
    [["kafka-console-consumer"], "kafka-console-consumer needs --topic"],
    [["kafka-console-consumer", "--topic", "t", "--offset", "1"], "--offset goes with --partition"],
    [["kafka-console-consumer", "--topic", "t", "--property", "print.all=true"], "not known here"],
    [["kafka-console-producer", "--topic", "t", "--producer-property", "retries=1"], "not known here"],
    [["kafka-consumer-groups", "--describe"], "say which groups"],
    [["kafka-consumer-groups", "--describe", "--group", "g", "--members", "--state"], "give one"],
    [["kafka-consumer-groups", "--reset-offsets", "--group", "g", "--to-latest"], "say of what"],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await cli(args, { env: { LOGRAFT_BROKERS: "127.0.0.1:1" } });
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

test.each([
  ["P1D", 86_400_000],
  ["PT1H30M", 5_400_000],
  ["PT0.5S", 500],
])("%s is %i ms", (text, ms) => {
  expect(parseIsoDuration(text, "--by-duration")).toBe(ms);
});

test.each(["P", "PT", "1D", "P1W"])("%s is no duration", (text) => {
  expect(() => parseIsoDuration(text, "--by-duration")).toThrow("write it as P7D or PT1H30M");
});

test("a table in Kafka's shape grows with its cells", () => {
  const columns = [
    { title: "GROUP", minWidth: 8, cell: (row: { a: string }) => row.a },
    { title: "LAG", minWidth: 0, cell: () => 7 },
  ];
  expect(kafkaTable(columns, [{ a: "g" }, { a: "a-long-one" }])).toBe(
    "GROUP      LAG\ng          7\na-long-one 7",
  );
});

test("shims install writes scripts that call this program, again too, and never over another's file", async () => {
  const directory = await mkdtemp(join(tmpdir(), "lograft-shims-"));
  try {
    const { code, stdout } = await cli(["shims", "install", directory]);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(8);
    const script = await readFile(join(directory, "kafka-topics.sh"), "utf8");
    expect(script).toMatch(/^#!\/bin\/sh\n#.*\nexec '.*' '.*main\.(ts|js)' kafka-topics "\$@"\n$/);
    expect((await cli(["shims", "install", directory])).code).toBe(0);
    await writeFile(join(directory, "kafka-topics"), "mine");
    expect((await cli(["shims", "install", directory])).code).toBe(2);
    expect(await readFile(join(directory, "kafka-topics"), "utf8")).toBe("mine");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
