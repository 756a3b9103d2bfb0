import { describe, expect, test } from "vitest";
import { ConsumerBench, part } from "./consumer-bench.ts";

const ORDERS = { orders: { seed: 1, partitions: 2 } };
const MANY = {
  "log.app": { seed: 1, partitions: 1 },
  "log.web": { seed: 2, partitions: 1 },
  bills: { seed: 3, partitions: 1 },
  __consumer_offsets: { seed: 4, partitions: 1 },
};

describe("topics come and go", () => {
  test("new partitions are assigned", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    const hasNews = bench.watch("a", memberEpoch);
    bench.metadata({ orders: { seed: 1, partitions: 3 } });
    expect(hasNews()).toBe(true);
    expect(bench.beat("a", memberEpoch).assignment).toEqual([part(1, 0, 1, 2)]);
  });

  test("a topic that is made after its subscribers joined is assigned", () => {
    const bench = new ConsumerBench({});
    const { memberEpoch, assignment } = bench.join("a", { subscribedTopicNames: ["orders"] });
    expect(assignment).toEqual([]);
    bench.metadata(ORDERS);
    expect(bench.beat("a", memberEpoch).assignment).toEqual([part(1, 0, 1)]);
  });

  test("a deleted topic goes without anybody having to give it up", () => {
    const both = { ...ORDERS, bills: { seed: 2, partitions: 1 } };
    const bench = new ConsumerBench(both);
    const { memberEpoch } = bench.join("a");
    bench.metadata(ORDERS);
    const answer = bench.beat("a", memberEpoch);
    expect(answer.assignment).toEqual([part(1, 0, 1)]);
    expect(bench.group.state).toBe("Stable");
    // It still says that it owns the partition of the deleted one.
    const late = { topicPartitions: [part(1, 0, 1), part(2, 0)] };
    expect(bench.beat("a", memberEpoch, late)).toMatchObject({ error: "NONE", assignment: [part(1, 0, 1)] });
  });

  test("a member that was to give up a topic is free when the topic is deleted", () => {
    const both = { ...ORDERS, bills: { seed: 2, partitions: 1 } };
    const bench = new ConsumerBench(both);
    const { memberEpoch } = bench.join("a");
    const asked = bench.beat("a", memberEpoch, { subscribedTopicNames: ["orders"] });
    expect(bench.member("a").assignment).toHaveLength(2);
    bench.metadata(ORDERS);
    expect(bench.beat("a", asked.memberEpoch).memberEpoch).toBeGreaterThan(asked.memberEpoch);
    expect(bench.group.state).toBe("Stable");
  });

  test("a topic that is made anew under its name is another one", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    bench.metadata({ orders: { seed: 9, partitions: 2 } });
    expect(bench.beat("a", memberEpoch).assignment).toEqual([part(9, 0, 1)]);
  });

  test("topics that nobody subscribes to change nothing", () => {
    const bench = new ConsumerBench(ORDERS);
    bench.join("a");
    const records = bench.log.length;
    bench.metadata({ ...ORDERS, bills: { seed: 2, partitions: 1 } });
    expect(bench.log.length).toBe(records);
  });

  test("a new coordinator sees what changed while there was none", () => {
    const bench = new ConsumerBench(ORDERS);
    const { memberEpoch } = bench.join("a");
    bench.metadata(ORDERS);
    bench.image = new ConsumerBench({ orders: { seed: 1, partitions: 3 } }).image;
    bench.failover();
    expect(bench.beat("a", memberEpoch).assignment).toEqual([part(1, 0, 1, 2)]);
  });

  test("a change of the subscription takes effect with the same heartbeat", () => {
    const bench = new ConsumerBench(MANY);
    const { memberEpoch } = bench.join("a", { subscribedTopicNames: ["bills"] });
    const answer = bench.beat("a", memberEpoch, { subscribedTopicNames: ["log.web", "bills", "bills"] });
    expect(answer.assignment).toHaveLength(2);
    expect(bench.member("a").topics).toEqual(["bills", "log.web"]);
  });
});

describe("patterns", () => {
  const byPattern = { subscribedTopicNames: [], subscribedTopicRegex: String.raw`log\..*` };

  test("whole names are matched, and topics that come later too", () => {
    const bench = new ConsumerBench(MANY);
    const { memberEpoch } = bench.join("a", byPattern);
    const names = (): string[] => bench.member("a").target.map(({ topic }) => topic);
    expect(names()).toEqual(["log.app", "log.web"]);
    bench.metadata({
      ...MANY,
      "log.db": { seed: 5, partitions: 1 },
      "no.log.db": { seed: 6, partitions: 1 },
    });
    expect(names()).toEqual(["log.app", "log.db", "log.web"]);
    expect(bench.beat("a", memberEpoch).assignment).toHaveLength(3);
    expect(bench.member("a").topicRegex).toBe(String.raw`log\..*`);
  });

  test("internal topics match no pattern, but can be named", () => {
    const bench = new ConsumerBench(MANY);
    bench.join("a", { subscribedTopicNames: [], subscribedTopicRegex: ".*" });
    expect(bench.member("a").target).toHaveLength(3);
    bench.join("a", { subscribedTopicNames: ["__consumer_offsets"], subscribedTopicRegex: ".*" });
    expect(bench.member("a").target).toHaveLength(4);
  });

  test("names and a pattern add up, and an empty pattern takes the pattern back", () => {
    const bench = new ConsumerBench(MANY);
    const { memberEpoch } = bench.join("a", { ...byPattern, subscribedTopicNames: ["bills", "log.app"] });
    expect(bench.member("a").target).toHaveLength(3);
    bench.beat("a", memberEpoch, { subscribedTopicRegex: "" });
    expect(bench.member("a").target).toHaveLength(2);
  });

  test("a group knows which topics it is subscribed to", () => {
    const bench = new ConsumerBench(MANY);
    bench.join("a", byPattern);
    bench.join("b", { subscribedTopicNames: ["bills"] });
    const isSubscribed = ["log.app", "log.new", "bills", "logs", "__consumer_offsets"].map((topic) =>
      bench.group.isSubscribedTo(topic),
    );
    expect(isSubscribed).toEqual([true, true, true, false, false]);
  });
});
