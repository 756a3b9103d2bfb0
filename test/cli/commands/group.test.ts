import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GroupScene } from "../group-scene.ts";

/* `lograft group ...` and `consume -g` against a real coordinator. */

/** The records of "orders", in each partition: one a minute. */
const TIMES = [0, 1, 2, 3, 4, 5].map((minute) => Date.UTC(2026, 0, 1, 0, minute));

let scene: GroupScene;

beforeAll(async () => {
  scene = await GroupScene.start();
  await scene.topic("orders", 2, TIMES);
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

test.each([
  [["group", "describe", "nope"]],
  [["group", "reset-offsets", "nope", "--to-earliest", "--all-topics"]],
  [["group", "delete", "nope", "--yes"]],
  [["group", "remove-member", "nope", "m"]],
  [["group", "wait-for-lag", "nope", "--below", "1"]],
])("an unknown group: %j ends with 3 and says why there may be none", async (args) => {
  const { code, stdout, stderr } = await scene.cli(args);
  expect(stderr).toContain(
    'there is no group "nope"; it was never used, is deleted, or its offsets have expired',
  );
  expect(stderr).toContain("see what there is with: lograft group list");
  expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
});

test("a group id that is too long ends with 2 and says how long one may be", async () => {
  const { code, stderr } = await scene.cli(["group", "describe", "x".repeat(250)]);
  expect(stderr).toContain("a group id has at most 249 characters, this one has 250");
  expect(code).toBe(2);
  const consumed = await scene.cli(["consume", "orders", "-g", "x".repeat(250)]);
  expect(consumed.stderr).toContain("groupId has 250 characters; it needs 1 to 249");
  expect(consumed.code).toBe(2);
});

describe("a group without members", () => {
  test("list shows it, by state and by lag, and as JSON", async () => {
    await scene.commit("listed", "orders", [6, 2]);
    expect(await scene.done(["group", "list", "--state", "empty"])).toMatch(/^listed +classic +Empty$/m);
    expect(await scene.done(["group", "list", "--state", "stable"])).not.toContain("listed");
    expect(await scene.done(["group", "list", "--lag-above", "3"])).toMatch(/^listed +\w+ +Empty +4$/m);
    expect(await scene.done(["group", "list", "--lag-above", "4"])).not.toContain("listed");
    expect(JSON.parse(await scene.done(["group", "list", "--lag-above", "3", "--json"]))).toContainEqual({
      groupId: "listed",
      type: "classic",
      state: "Empty",
      protocolType: "",
      totalLag: "4",
    });
  });

  test("describe shows how far it is, and null where nothing is committed", async () => {
    await scene.commit("described", "orders", [2]);
    const text = await scene.done(["group", "describe", "described"]);
    expect(text).toContain("0 members, 4 records behind, nothing committed in 1 partition with records");
    expect(text).toMatch(/^orders +0 +2 +0 +6 +4 +-$/m);
    expect(text).toMatch(/^orders +1 +- +0 +6 +- +-$/m);
    expect(await scene.described("described")).toMatchObject({
      state: "Empty",
      totalLag: "4",
      uncommittedPartitions: 1,
      members: [],
      partitions: [
        { topic: "orders", partition: 0, committedOffset: "2", logEndOffset: "6", lag: "4", memberId: null },
        {
          topic: "orders",
          partition: 1,
          committedOffset: null,
          logEndOffset: "6",
          lag: null,
          memberId: null,
        },
      ],
    });
  });

  test("reset-offsets shows the plan and changes nothing; --execute commits what was shown", async () => {
    await scene.commit("planned", "orders", [3, 6]);
    const args = ["group", "reset-offsets", "planned", "--to-earliest", "--all-topics"];
    const plan = await scene.cli(args);
    expect(plan.code).toBe(0);
    expect(plan.stdout).toMatch(/^orders +0 +3 +0 +-3$/m);
    expect(plan.stderr).toBe("nothing was changed; add --execute to commit it\n");
    expect(await scene.committed("planned")).toEqual({ "orders-0": "3", "orders-1": "6" });
    const executed = await scene.cli([...args, "--execute"]);
    expect(executed).toMatchObject({ code: 0, stdout: plan.stdout });
    expect(executed.stderr).toBe("2 offsets of group planned committed\n");
    expect(await scene.committed("planned")).toEqual({ "orders-0": "0", "orders-1": "0" });
  });

  test.each([
    [
      ["--to-latest", "--all-topics"],
      ["6", "6"],
    ],
    [
      ["--to-offset", "5", "--topic", "orders"],
      ["5", "5"],
    ],
    [
      ["--to-offset", "6", "--topic", "orders:1"],
      ["3", "6"],
    ],
    [
      ["--shift-by", "2", "--topic", "orders"],
      ["5", "6"],
    ],
    [
      ["--shift-by", "-2", "--topic", "orders"],
      ["1", "2"],
    ],
    [
      ["--to-datetime", "2026-01-01T00:01:30Z", "--topic", "orders"],
      ["2", "2"],
    ],
    [
      ["--to-datetime", "2026-02-01T00:00:00Z", "--topic", "orders"],
      ["6", "6"],
    ],
  ])("reset-offsets %j goes to %j", async (where, [first, second]) => {
    await scene.commit("moved", "orders", [3, 4]);
    await scene.done(["group", "reset-offsets", "moved", ...where, "--execute"]);
    expect(await scene.committed("moved")).toEqual({ "orders-0": first, "orders-1": second });
  });

  test("reset-offsets --json tells the plan with its reasons", async () => {
    await scene.commit("reasons", "orders", [3, 6]);
    const args = ["group", "reset-offsets", "reasons", "--shift-by", "2", "--all-topics", "--json"];
    const row = { topic: "orders", error: null };
    expect(JSON.parse(await scene.done(args))).toEqual({
      groupId: "reasons",
      isExecuted: false,
      partitions: [
        { ...row, partition: 0, current: "3", next: "5", reason: null },
        { ...row, partition: 1, current: "6", next: "6", reason: "offset 8 is past the end of the log" },
      ],
    });
  });

  test("an offset past the end is refused with what the partition holds, and nothing is committed", async () => {
    await scene.commit("bounded", "orders", [3, 3]);
    const args = ["group", "reset-offsets", "bounded", "--to-offset", "7", "--topic", "orders", "--execute"];
    const { code, stderr } = await scene.cli(args);
    expect(stderr).toContain(
      "offset 7 is not in orders-0, which holds 0 to 6 (exclusive); choose one from there",
    );
    expect(code).toBe(2);
    expect(await scene.committed("bounded")).toEqual({ "orders-0": "3", "orders-1": "3" });
  });

  test.each([
    ["orders:7", "topic orders has partitions 0 to 1, not 7"],
    ["absent", 'there is no topic "absent"; see: lograft topic list'],
  ])("reset-offsets of %s ends with 3", async (topic, message) => {
    await scene.commit("astray", "orders", [1]);
    const { code, stderr } = await scene.cli([
      "group",
      "reset-offsets",
      "astray",
      "--to-earliest",
      "--topic",
      topic,
    ]);
    expect(stderr).toContain(message);
    expect(code).toBe(3);
  });

  test("delete takes its commits along", async () => {
    await scene.commit("doomed", "orders", [3]);
    const { code, stderr } = await scene.cli(["group", "delete", "doomed", "--yes"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "doomed deleted\n" });
    expect((await scene.cli(["group", "describe", "doomed"])).code).toBe(3);
  });

  test("delete of several tells of each: 7 when some are gone, what they have in common when none is", async () => {
    await scene.commit("there", "orders", [3]);
    const some = await scene.cli(["group", "delete", "there", "not-there", "--yes", "--json"]);
    expect(JSON.parse(some.stdout)).toEqual([
      { groupId: "there", error: null },
      { groupId: "not-there", error: "GROUP_ID_NOT_FOUND" },
    ]);
    expect(some.code).toBe(7);
    expect((await scene.cli(["group", "delete", "there", "not-there", "--yes"])).code).toBe(3);
  });

  test("remove-member of nobody ends with 3", async () => {
    await scene.commit("deserted", "orders", [3]);
    const { code, stderr } = await scene.cli(["group", "remove-member", "deserted", "somebody"]);
    expect(stderr).toContain(
      "group deserted has no member somebody among its 0 members; see: lograft group describe",
    );
    expect(code).toBe(3);
  });

  test("wait-for-lag ends with 0 when it is small enough, with 8 when it stays", async () => {
    await scene.commit("waiting", "orders", [5, 6]);
    const wait = ["group", "wait-for-lag", "waiting", "--below"];
    const reached = await scene.cli([...wait, "2"]);
    expect(reached.stderr).toMatch(/^group waiting is 1 record behind, after \d+\.\d s\n$/);
    expect(reached.code).toBe(0);
    const missed = await scene.cli([...wait, "1", "--json", "--timeout", "3s"]);
    expect(JSON.parse(missed.stdout)).toMatchObject({ groupId: "waiting", isReached: false, totalLag: "1" });
    expect(missed.code).toBe(8);
  });

  test("wait-for-lag does not take a partition without a commit for one without lag", async () => {
    await scene.commit("half", "orders", [6]);
    const wait = ["group", "wait-for-lag", "half", "--timeout", "3s", "--below", "5"];
    const { code, stderr } = await scene.cli(wait);
    expect(stderr).toContain("is 0 records behind, and has committed nothing in 1 partition with records");
    expect(code).toBe(8);
  });
});

describe("a group with members at work", () => {
  test("describe shows who has what", async () => {
    await using _member = await scene.member({ groupId: "alive", topics: ["orders"] });
    const group = await scene.until("alive", ({ totalLag, state }) => {
      expect({ totalLag, state }).toEqual({ totalLag: "0", state: "Stable" });
    });
    const [member] = group.members;
    expect(member?.assignment).toEqual([{ topic: "orders", partitions: [0, 1] }]);
    const members = await scene.done(["group", "describe", "alive", "--members"]);
    expect(members).toMatch(new RegExp(`^${member?.memberId} +- +scene +127\\.0\\.0\\.1 +orders:0,1$`, "m"));
    expect(members).not.toContain("COMMITTED");
    expect(await scene.done(["group", "describe", "alive", "--offsets"])).not.toContain("STATIC NAME");
    expect(await scene.done(["group", "list", "--state", "stable"])).toMatch(/^alive +consumer +Stable$/m);
  });

  test("reset-offsets and delete are refused with 4, the member goes on, and after it they are done", async () => {
    const reset = ["group", "reset-offsets", "busy", "--to-earliest", "--topic", "orders", "--execute"];
    {
      await using _member = await scene.member({ groupId: "busy", topics: ["orders"] });
      await scene.until("busy", ({ totalLag, partitions }) => {
        expect({ totalLag, lags: partitions.map(({ lag }) => lag) }).toEqual({
          totalLag: "0",
          lags: ["0", "0"],
        });
      });
      for (const args of [reset, ["group", "delete", "busy", "--yes"]]) {
        const { code, stdout, stderr } = await scene.cli(args);
        expect(stderr).toMatch(
          /^lograft: group busy has (a member|members) at work; stop them all, then try again\n$/,
        );
        expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
      }
      expect((await scene.described("busy")).members).toHaveLength(1);
    }
    await scene.until("busy", ({ members }) => expect(members).toEqual([]));
    await scene.done(reset);
    expect(await scene.committed("busy")).toEqual({ "orders-0": "0", "orders-1": "0" });
    await scene.done(["group", "delete", "busy", "--yes"]);
  });

  test("remove-member takes one out, which joins again", async () => {
    await using _member = await scene.member({ groupId: "shaken", topics: ["orders"] });
    const before = await scene.described("shaken");
    const memberId = before.members[0]?.memberId ?? "";
    const { code, stderr } = await scene.cli(["group", "remove-member", "shaken", memberId]);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `${memberId} is out of group shaken; what it had goes to the others\n`,
    });
    await scene.until("shaken", ({ epoch, members }) => {
      expect(epoch).toBeGreaterThan(before.epoch);
      expect(members.map(({ assignment }) => assignment)).toEqual([
        [{ topic: "orders", partitions: [0, 1] }],
      ]);
    });
  });

  test("remove-member by its name takes out a static member whose process is gone", async () => {
    {
      await using _member = await scene.member({ groupId: "shop", instanceId: "till-1", topics: ["orders"] });
    }
    expect((await scene.described("shop")).members).toMatchObject([{ groupInstanceId: "till-1" }]);
    expect((await scene.cli(["group", "delete", "shop", "--yes"])).code).toBe(4);
    const removed = await scene.done(["group", "remove-member", "shop", "till-1", "--json"]);
    expect(JSON.parse(removed)).toMatchObject({ groupId: "shop", groupInstanceId: "till-1" });
    expect((await scene.described("shop")).members).toEqual([]);
    await scene.done(["group", "delete", "shop", "--yes"]);
  });

  test("wait-for-lag waits for a member that catches up", async () => {
    await scene.commit("catching", "orders", [0, 0]);
    const waiting = scene.cli(["group", "wait-for-lag", "catching", "--below", "1"]);
    await using _member = await scene.member({ groupId: "catching", topics: ["orders"] });
    const { code, stderr } = await waiting;
    expect(stderr).toMatch(/^group catching is 0 records behind, after/);
    expect(code).toBe(0);
  });
});

describe("consume -g", () => {
  test("commits what it printed, and the next run goes on behind it", async () => {
    const consume = ["consume", "orders", "-g", "printing", "-f", "%p:%o ", "-n"];
    const first = await scene.done([...consume, "5"]);
    const committed = await scene.committed("printing");
    for (const partition of [0, 1]) {
      const printed = first.split(" ").filter((text) => text.startsWith(`${partition}:`)).length;
      if (printed > 0) expect(committed[`orders-${partition}`]).toBe(String(printed));
    }
    const second = await scene.done([...consume, "7"]);
    const all = [0, 1].flatMap((partition) => TIMES.map((_time, offset) => `${partition}:${offset}`));
    expect(`${first}${second}`.trim().split(" ").sort()).toEqual(all);
    expect(await scene.committed("printing")).toEqual({ "orders-0": "6", "orders-1": "6" });
  });

  test("-o end begins a new group behind what is there", async () => {
    const stop = new AbortController();
    const consuming = scene.cli(["consume", "orders", "-g", "late", "-o", "end"], { signal: stop.signal });
    await expect
      .poll(async () => (await scene.cli(["group", "describe", "late", "--json"])).stdout, {
        timeout: 60_000,
      })
      .toContain('"Stable"');
    await scene.until("late", ({ partitions }) => {
      expect(partitions.map(({ committedOffset }) => committedOffset)).toEqual(["6", "6"]);
    });
    stop.abort();
    expect((await consuming).stdout).toBe("");
  });

  test("of a topic that does not exist ends with 3 instead of waiting for it", async () => {
    const { code, stdout, stderr } = await scene.cli(["consume", "absent", "-g", "early"]);
    expect(stderr).toContain("topic absent does not exist; create it or check the spelling");
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  });
});
