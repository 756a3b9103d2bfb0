import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GroupScene } from "../group-scene.ts";
import type { CliRun } from "../harness.ts";

/* Kafka's flags and columns, as people's scripts have them, against a real coordinator. */

let scene: GroupScene;
let directory: string;

beforeAll(async () => {
  scene = await GroupScene.start();
  directory = await mkdtemp(join(tmpdir(), "lograft-groups-"));
  await scene.topic("orders", 2, [0, 60_000, 120_000, 180_000]);
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function groups(...args: readonly string[]): Promise<CliRun> {
  return scene.cli(["kafka-consumer-groups", ...args, "--bootstrap-server", scene.address], { env: {} });
}

/** The cells of a printed table, without the empty line in front of it. */
function cells(text: string): string[][] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => line.split(/ +/));
}

describe("--describe", () => {
  test("of a group without members has Kafka's columns with dashes, and says on stderr that nobody is there", async () => {
    await scene.commit("idle", "orders", [1, 4]);
    const { code, stdout, stderr } = await groups("--describe", "--group", "idle");
    expect(stderr).toBe("\nConsumer group 'idle' has no active members.\n");
    expect(stdout).toMatch(/^\nGROUP {11}TOPIC {11}PARTITION {2}CURRENT-OFFSET {2}LOG-END-OFFSET {2}LAG/);
    expect(cells(stdout)).toEqual([
      [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
      ],
      ["idle", "orders", "0", "1", "4", "3", "-", "-", "-"],
      ["idle", "orders", "1", "4", "4", "0", "-", "-", "-"],
    ]);
    expect(code).toBe(0);
    expect((await groups("--describe", "--offsets", "--group", "idle")).stdout).toBe(stdout);
  });

  test("of a live group names its members, what they have, and the coordinator", async () => {
    await using _member = await scene.member({ groupId: "live", instanceId: "till", topics: ["orders"] });
    const { members } = await scene.until("live", ({ totalLag, state, partitions }) => {
      const commits = partitions.map(({ committedOffset }) => committedOffset);
      expect({ totalLag, state, commits }).toEqual({ totalLag: "0", state: "Stable", commits: ["4", "4"] });
    });
    const id = members[0]?.memberId ?? "";
    const offsets = await groups("--describe", "--group", "live");
    expect(cells(offsets.stdout)[1]).toEqual([
      "live",
      "orders",
      "0",
      "4",
      "4",
      "0",
      id,
      "/127.0.0.1",
      "scene",
    ]);
    const listed = await groups("--describe", "--group", "live", "--members", "--verbose");
    expect(cells(listed.stdout)).toEqual([
      ["GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "ASSIGNMENT"],
      ["live", id, "till", "/127.0.0.1", "scene", "2", "orders(0,1)"],
    ]);
    const brief = await groups("--describe", "--group", "live", "--members");
    expect(brief.stdout).not.toContain("ASSIGNMENT");
    const state = await groups("--describe", "--group", "live", "--state");
    expect(state.stdout.split("\n")[2]).toMatch(
      new RegExp(`^live +${scene.address.replaceAll(".", "\\.")} \\(1\\) +uniform +Stable +1$`),
    );
    const all = await groups("--list", "--state", "Stable");
    expect(cells(all.stdout)).toEqual([
      ["GROUP", "STATE"],
      ["live", "Stable"],
    ]);
    expect((await groups("--list", "--type", "Consumer")).stdout).toBe("live\n");
  });

  test("of a group that is not there ends with 3; among others with 7, and shows these", async () => {
    await scene.commit("real", "orders", [1]);
    const alone = await groups("--describe", "--group", "nope");
    expect(alone).toMatchObject({ code: 3, stdout: "" });
    expect(alone.stderr).toContain('there is no group "nope"');
    for (const view of [[], ["--members"], ["--state"]]) {
      const both = await groups("--describe", "--group", "nope", "--group", "real", ...view);
      expect(both.stderr).toContain('there is no group "nope"');
      expect(both.stderr).toContain("Consumer group 'real' has no active members.");
      expect(both.code).toBe(7);
    }
  });

  test("--all-groups shows all of them, --list their names", async () => {
    await scene.commit("one", "orders", [1]);
    await scene.commit("two", "orders", [1]);
    const { stdout } = await groups("--describe", "--all-groups");
    const names = new Set(cells(stdout).map(([name]) => name));
    expect([...names]).toEqual(expect.arrayContaining(["one", "two"]));
    const listed = await groups("--list");
    expect(listed.stdout.split("\n")).toEqual(expect.arrayContaining(["one", "two"]));
  });
});

describe("--reset-offsets", () => {
  test("without --execute, and with --dry-run, prints the plan in Kafka's columns and changes nothing", async () => {
    await scene.commit("planned", "orders", [1, 2]);
    const args = ["--reset-offsets", "--group", "planned", "--topic", "orders", "--to-earliest"];
    for (const mode of [[], ["--dry-run"]]) {
      const { code, stdout } = await groups(...args, ...mode);
      expect(stdout).toMatch(/^\nGROUP {26}TOPIC {26}PARTITION {2}NEW-OFFSET\n/);
      expect(cells(stdout).slice(1)).toEqual([
        ["planned", "orders", "0", "0"],
        ["planned", "orders", "1", "0"],
      ]);
      expect(code).toBe(0);
    }
    expect(await scene.committed("planned")).toEqual({ "orders-0": "1", "orders-1": "2" });
  });

  test.each([
    [
      ["--to-latest", "--all-topics"],
      ["4", "4"],
    ],
    [
      ["--to-current", "--all-topics"],
      ["1", "2"],
    ],
    [
      ["--to-offset", "3", "--topic", "orders:0"],
      ["3", "2"],
    ],
    [
      ["--to-offset", "99", "--topic", "orders:0,1"],
      ["4", "4"],
    ],
    [
      ["--shift-by", "1", "--topic", "orders"],
      ["2", "3"],
    ],
    [
      ["--shift-by", "-1", "--topic", "orders"],
      ["0", "1"],
    ],
    [
      ["--to-datetime", "1970-01-01T00:01:30.000", "--topic", "orders"],
      ["2", "2"],
    ],
    [
      ["--by-duration", "PT1H", "--topic", "orders"],
      ["4", "4"],
    ],
    [
      ["--by-duration", "P36500D", "--topic", "orders"],
      ["0", "0"],
    ],
  ])("--execute %j commits %j", async (where, [first, second]) => {
    await scene.commit("moved", "orders", [1, 2]);
    const { code, stderr } = await groups("--reset-offsets", "--group", "moved", ...where, "--execute");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await scene.committed("moved")).toEqual({ "orders-0": first, "orders-1": second });
  });

  test("a time without a zone is of UTC, wherever the command runs", async () => {
    const { TZ: zone } = process.env;
    process.env["TZ"] = "Asia/Shanghai";
    try {
      const args = ["--reset-offsets", "--group", "zoned", "--topic", "orders:0", "--export"];
      expect((await groups(...args, "--to-datetime", "1970-01-01T00:01:30.000")).stdout).toBe("orders,0,2\n");
      expect((await groups(...args, "--to-datetime", "1970-01-01T08:01:30+08:00")).stdout).toBe(
        "orders,0,2\n",
      );
    } finally {
      if (zone === undefined) delete process.env["TZ"];
      else process.env["TZ"] = zone;
    }
  });

  test("of a group that does not exist yet makes it", async () => {
    const args = ["--reset-offsets", "--group", "made", "--topic", "orders", "--to-latest", "--execute"];
    expect((await groups(...args)).code).toBe(0);
    expect(await scene.committed("made")).toEqual({ "orders-0": "4", "orders-1": "4" });
  });

  test("of a live group is refused with 4; another group of the same call is reset, and that ends with 7", async () => {
    await scene.commit("quiet", "orders", [1, 1]);
    await using _member = await scene.member({ groupId: "at-work", topics: ["orders"] });
    const args = ["--reset-offsets", "--to-latest", "--topic", "orders", "--execute", "--group", "at-work"];
    const alone = await groups(...args);
    expect(alone.stderr).toContain("group at-work has a member at work; stop them all, then try again");
    expect(alone).toMatchObject({ code: 4, stdout: "" });
    const both = await groups(...args, "--group", "quiet");
    expect(both.stderr).toContain("group at-work has a member at work");
    expect(both.code).toBe(7);
    expect(cells(both.stdout).slice(1)).toEqual([
      ["quiet", "orders", "0", "4"],
      ["quiet", "orders", "1", "4"],
    ]);
    expect(await scene.committed("quiet")).toEqual({ "orders-0": "4", "orders-1": "4" });
  });

  test("what --export printed is what --from-file reads, for one group and for several", async () => {
    await scene.commit("saved", "orders", [1, 2]);
    await scene.commit("other", "orders", [3, 3]);
    const path = join(directory, "offsets.csv");
    const scope = ["--reset-offsets", "--all-topics", "--to-current", "--export", "--group", "saved"];
    const one = await groups(...scope);
    expect(one.stdout).toBe("orders,0,1\norders,1,2\n");
    const several = await groups(...scope, "--group", "other");
    expect(several.stdout).toBe("saved,orders,0,1\nsaved,orders,1,2\nother,orders,0,3\nother,orders,1,3\n");
    const restore = ["--reset-offsets", "--from-file", path, "--execute", "--group", "saved"];
    for (const [text, more] of [
      [one.stdout, []],
      [several.stdout, ["--group", "other"]],
    ] as const) {
      await writeFile(path, text);
      await groups("--reset-offsets", "--all-topics", "--to-earliest", "--execute", "--group", "saved");
      expect((await groups(...restore, ...more)).code).toBe(0);
      expect(await scene.committed("saved")).toEqual({ "orders-0": "1", "orders-1": "2" });
    }
  });

  test.each([
    ["orders,0\n", /offsets\.csv:1.*whole number/],
    ["orders,0,1\norders,x,1\n", /offsets\.csv:2.*whole number/],
    ["a,b,0,1,2\n", /offsets\.csv:1: write it as topic,partition,offset/],
  ])("a file with %j is refused with its line", async (text, message) => {
    const path = join(directory, "offsets.csv");
    await writeFile(path, text);
    const { code, stderr } = await groups("--reset-offsets", "--group", "any", "--from-file", path);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  test("a file without groups does not go with several of them", async () => {
    const path = join(directory, "offsets.csv");
    await writeFile(path, "orders,0,1\n");
    const args = ["--reset-offsets", "--group", "a", "--group", "b", "--from-file"];
    const { code, stderr } = await groups(...args, path);
    expect(stderr).toContain("for several groups each line is group,topic,partition,offset");
    expect(code).toBe(2);
    const absent = await groups(...args, join(directory, "absent.csv"));
    expect(absent.stderr).toContain("absent.csv: cannot be read; check the path");
    expect(absent.code).toBe(2);
  });
});

describe("--delete and --delete-offsets", () => {
  test("--delete says which were deleted, and is refused with 4 while members are at work", async () => {
    await scene.commit("d1", "orders", [1]);
    await scene.commit("d2", "orders", [1]);
    const { code, stdout } = await groups("--delete", "--group", "d1", "--group", "d2");
    expect(stdout).toBe("Deletion of requested consumer groups ('d1', 'd2') was successful.\n");
    expect(code).toBe(0);
    expect((await groups("--delete", "--group", "d1")).code).toBe(3);
    await using _member = await scene.member({ groupId: "kept", topics: ["orders"] });
    const refused = await groups("--delete", "--group", "kept");
    expect(refused.stderr).toContain("group kept has members at work; stop them all, then try again");
    expect(refused).toMatchObject({ code: 4, stdout: "" });
  });

  test("--delete-offsets forgets the partitions named, and is refused for a topic that members read", async () => {
    await scene.commit("forgetful", "orders", [1, 2]);
    const one = await groups("--delete-offsets", "--group", "forgetful", "--topic", "orders:1");
    expect(one.stdout).toMatch(/^Request succeed for deleting offsets with topic orders:1 group forgetful\n/);
    expect(cells(one.stdout).slice(1)).toEqual([
      ["TOPIC", "PARTITION", "STATUS"],
      ["orders", "1", "Successful"],
    ]);
    expect(await scene.committed("forgetful")).toEqual({ "orders-0": "1", "orders-1": null });
    await using _member = await scene.member({ groupId: "reading", topics: ["orders"] });
    await scene.until("reading", ({ partitions }) => {
      expect(partitions.map(({ committedOffset }) => committedOffset)).toEqual(["4", "4"]);
    });
    const refused = await groups("--delete-offsets", "--group", "reading", "--topic", "orders");
    expect(refused.stdout).toContain("Error: orders-0 of group reading");
    expect(refused.stdout).toContain("stop them first");
    expect(refused.stdout).not.toContain("Request succeed");
    expect(refused.code).toBe(4);
  });
});

test("--command-config says where the brokers are, tells what has no effect, and refuses other protocols", async () => {
  const path = join(directory, "client.properties");
  await writeFile(path, `bootstrap.servers=${scene.address}\nrequest.timeout.ms=30000\nretries=5\n`);
  const args = ["kafka-consumer-groups", "--list", "--command-config", path];
  const { code, stderr } = await scene.cli(args, { env: {} });
  expect({ code, stderr }).toEqual({ code: 0, stderr: `lograft: ${path}:3: retries has no effect here\n` });
  await writeFile(path, "security.protocol=SASL_SSL\n");
  const secure = await scene.cli(args);
  expect(secure.stderr).toContain(
    "client.properties:1: security.protocol=SASL_SSL: only PLAINTEXT is spoken here",
  );
  expect(secure.code).toBe(2);
  expect((await scene.cli([...args.slice(0, 3), join(directory, "none")])).stderr).toContain(
    "cannot be read",
  );
});

test("an unknown flag is answered with the nearest one and with all that there are", async () => {
  const { code, stderr } = await groups("--reset-ofsets", "--group", "g");
  expect(stderr).toContain("unknown option '--reset-ofsets'\n(Did you mean --reset-offsets?)");
  expect(stderr).toMatch(/^kafka-consumer-groups takes --all-groups, .*--to-offset, --topic, /m);
  expect(stderr).not.toContain("--zookeeper");
  expect(code).toBe(2);
});
