import { describe, expect, test } from "vitest";
import { cli } from "./harness.ts";

describe("help", () => {
  test("lists every command", async () => {
    const { code, stdout, stderr } = await cli(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const name of [
      "start",
      "cluster",
      "node",
      "partitions",
      "features",
      "topic",
      "produce",
      "consume",
      "log",
      "bench",
      "config",
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, "m"));
    }
  });

  test.each([
    ["topic", ["create", "list", "describe", "alter-config", "add-partitions", "offsets", "trim", "delete"]],
    ["cluster", ["info", "quorum", "health", "add-voter", "remove-voter"]],
    ["node", ["list", "describe", "drain", "undrain", "unregister"]],
    ["partitions", ["elect-preferred", "reassign", "status", "cancel"]],
    ["features", ["describe", "upgrade"]],
    ["log", ["dump", "verify"]],
    ["bench", ["produce", "consume", "e2e"]],
    ["config", ["print"]],
  ])("of %s lists %j", async (group, names) => {
    const { stdout } = await cli([group, "--help"]);
    for (const name of names) expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, "m"));
  });

  test("without a command is shown as wrong usage", async () => {
    const { code, stdout, stderr } = await cli([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Usage: lograft");
  });

  test("--version is that of the package", async () => {
    const { code, stdout } = await cli(["--version"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });
});

describe("wrong usage ends with 2 and says what is wrong", () => {
  test.each([
    [["fly"], "unknown command 'fly'"],
    [["topic", "fly"], "unknown command 'fly'"],
    [["topic", "create"], "missing required argument 'names'"],
    [["topic", "list", "--fly"], "unknown option '--fly'"],
    [["topic", "add-partitions", "t"], "required option '-t, --total <n>' not specified"],
    [["cluster", "add-voter", "first"], "node first: a whole number from 0 up is needed"],
    [["cluster", "health", "--watch", "--interval", "1ms"], "--interval 1ms: at least 50ms"],
    [["node", "describe", "-1"], "id -1: a whole number from 0 up is needed"],
    [["features", "upgrade", "--feature", "raft.version"], "--feature raft.version: write it as key=value"],
    [["topic", "list", "--timeout", "soon"], "--timeout soon: not a duration"],
    [["topic", "list", "--timeout", "0"], "--timeout 0: nothing can be done in no time"],
    [["topic", "list", "--lane", "fast"], "--lane fast: there is direct and grpc-js"],
    [["topic", "list", "-b", ","], '--bootstrap-server ",": write it as host:port'],
    [["produce", "t", "--value", "a", "--file", "b"], "--value and --file do not go together"],
    [["produce", "t", "--ndjson", "--key-separator", ":"], "--ndjson and --key-separator do not go together"],
    [["produce", "t", "--key-separator", ""], "--key-separator cannot be empty"],
    [["produce", "t", "--repeat", "2"], "--repeat goes with --value"],
    [["produce", "t", "--value", "a", "--acks", "2"], "--acks 2: there is all, 1 and 0"],
    [["produce", "t", "--value", "a", "-z", "brotli"], "--compression brotli: there is none, gzip"],
    [["produce", "t", "--value", "a", "-H", "nameless"], "--header nameless: write it as key=value"],
    [["produce", "t", "--file", "/nonexistent"], "--file /nonexistent: cannot be read; check the path"],
    [["produce", "t", "--file", "/"], "--file /: is a directory"],
    [["consume", "t", "--from-beginning", "-o", "end"], "--from-beginning and -o say two things"],
    [["consume", "t", "--read-from", "nearest"], "--read-from nearest: there is leader and closest"],
    [["consume", "t", "--read-from", "closest"], "--read-from closest: closest to where? Give --rack too"],
    [["consume", "t", "-o", "middle"], "-o middle: there is start, end, N, -N, @TIME and @FROM,TO"],
    [["consume", "t", "-o", "@a"], "-o a: not a time"],
    [["consume", "t", "-o", "@1,2,3"], "write it as @FROM or @FROM,TO"],
    [["consume", "t", "-n", "0"], "-n 0: a whole number from 1 up is needed"],
    [["consume", "t", "-f", "%q"], "format: %q is not known"],
    [["consume", "t", "-f", "%v", "--meta-only"], "leave --meta-only out"],
    [["bench", "produce", "t", "-s", "big"], "--record-size big: not a size"],
    [["start", "--set", "node.id=x"], '--set node.id: node.id = "x" is not valid'],
    [["start", "--log-level", "loud", "--data-dir", "/nonexistent/data"], 'log.level = "loud"'],
    [["config", "print", "--set", "zookeeper.connect=zk:2181"], "there is no ZooKeeper here"],
  ])("%j", async (args, message) => {
    const { code, stderr } = await cli(args, { env: { LOGRAFT_BROKERS: "127.0.0.1:1" } });
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

test("config print shows where a value comes from", async () => {
  const args = ["config", "print", "--source", "--changed", "--set", "node.id=7"];
  const { stdout } = await cli(args, { env: { LOGRAFT_NUM_PARTITIONS: "3" } });
  expect(stdout).toBe(
    [
      "KEY             VALUE  SOURCE",
      "node.id         7      --set node.id",
      "num.partitions  3      LOGRAFT_NUM_PARTITIONS",
      "",
    ].join("\n"),
  );
});
