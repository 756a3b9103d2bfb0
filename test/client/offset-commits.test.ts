import { describe, expect, test } from "vitest";
import type { LograftError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { CoordinatorCalls } from "../../src/client/coordinator-calls.ts";
import type { GroupIdentity } from "../../src/client/group-membership.ts";
import type { CommitPace } from "../../src/client/index.ts";
import { MetadataCache } from "../../src/client/metadata-cache.ts";
import { OffsetCommits } from "../../src/client/offset-commits.ts";
import { errorCodeOf, type ErrorName } from "../../src/model/error-code.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import type { CommitOffsetsRequest } from "../../src/rpc/group-messages.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { FakeGroup } from "./fake-group.ts";
import { failureOf } from "./harness.ts";

const T0 = { topic: "t", partition: 0 };
const T1 = { topic: "t", partition: 1 };

function setUp(pace: CommitPace, latencyMs = 1) {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  const cluster = new FakeCluster({ topics: { t: 2 }, latencyMs }, { clock });
  // Only for where the coordinator is.
  void new FakeGroup({ partitions: [] }, { cluster });
  const deps = { clock, random: new SeededRandom(1), logger: silentLogger, transport: cluster };
  const retry = { initialMs: 100, maxMs: 1000 };
  const metadata = new MetadataCache(
    { bootstrap: ["b0:9092"], maxAgeMs: 300_000, requestTimeoutMs: 30_000, retry },
    deps,
  );
  const context = { ...deps, clientId: "", rack: "", requestTimeoutMs: 30_000, retry, metadata };
  /** Offsets by partition and the epoch, of each request that was answered well or not. */
  const requests: { epoch: number; offsets: Record<number, number> }[] = [];
  const errors: LograftError[] = [];
  /** Partitions whose leaders were asked for the end. */
  const asked: number[] = [];
  let open = 0;
  const state = {
    identity: { groupId: "g", memberId: "m", generationIdOrMemberEpoch: 5 } as GroupIdentity | undefined,
    error: (_partition: number, _epoch: number): ErrorName => "NONE",
    /** As it is known here, and at the leaders. */
    end: 1000 as number | undefined,
    leaderEnd: 1000,
    mostOpen: 0,
  };
  cluster.answers.CommitOffsets = (message) => {
    const request = message as CommitOffsetsRequest;
    const { generationIdOrMemberEpoch: epoch } = request;
    const offsets = Object.fromEntries(request.offsets.map(({ partition, offset }) => [partition, offset]));
    requests.push({ epoch, offsets });
    return {
      results: request.offsets.map(({ topic, partition }) => ({
        topic,
        partition,
        errorCode: errorCodeOf(state.error(partition, epoch)),
        errorMessage: "",
      })),
    };
  };
  const call = cluster.call.bind(cluster);
  cluster.call = async (address, method, request, options) => {
    if (method !== "CommitOffsets") return call(address, method, request, options);
    state.mostOpen = Math.max(state.mostOpen, ++open);
    try {
      return await call(address, method, request, options);
    } finally {
      open--;
    }
  };
  const commits = new OffsetCommits(
    { pace },
    {
      context,
      calls: new CoordinatorCalls({ groupId: "g" }, { context }),
      identity: () => state.identity,
      endOf: () => state.end,
      askEnds: (partitions) => {
        asked.push(...partitions.map(({ partition }) => partition));
        return Promise.resolve(partitions.map(() => state.leaderEnd));
      },
      onError: (error) => errors.push(error),
    },
  );
  commits.add(T0);
  commits.add(T1);
  const settle = <T>(promise: Promise<T>): Promise<T> => scheduler.settle(promise, 100_000);
  return { scheduler, commits, requests, errors, asked, state, settle };
}

describe("after processing", () => {
  test("one request at a time; what is processed meanwhile goes with the next, and only the last position", async () => {
    const { scheduler, commits, requests, state } = setUp("after-processing", 50);
    for (let offset = 1; offset <= 200; offset++) {
      commits.processed(offset % 2 === 0 ? T0 : T1, offset, 3);
      await scheduler.advance(2);
    }
    await scheduler.advance(300);
    expect(state.mostOpen).toBe(1);
    expect(requests.length).toBeLessThan(12);
    expect(requests.at(-1)?.offsets).toMatchObject({ 0: 200 });
    expect(Object.assign({}, ...requests.map(({ offsets }) => offsets))).toEqual({ 0: 200, 1: 199 });
    expect(scheduler.pendingCount).toBe(0);
  });

  test("requests do not follow each other faster than every ten milliseconds", async () => {
    const { scheduler, commits, requests } = setUp("after-processing");
    for (let offset = 1; offset <= 500; offset++) {
      commits.processed(T0, offset, 3);
      await scheduler.advance(1);
    }
    expect(requests.length).toBeLessThan(55);
    expect(requests.length).toBeGreaterThan(20);
  });

  test("what may pass is tried again with the newest position and the identity of then (H60)", async () => {
    const { scheduler, commits, requests, errors, state } = setUp("after-processing");
    state.error = (_, epoch) => (epoch < 6 ? "STALE_MEMBER_EPOCH" : "NONE");
    commits.processed(T0, 1, 3);
    await scheduler.advance(50);
    commits.processed(T0, 2, 3);
    state.identity = { groupId: "g", memberId: "m", generationIdOrMemberEpoch: 6 };
    await scheduler.advance(500);
    expect(requests).toEqual([
      { epoch: 5, offsets: { 0: 1 } },
      { epoch: 6, offsets: { 0: 2 } },
    ]);
    expect(errors).toMatchObject([{ code: "STALE_MEMBER_EPOCH" }]);
  });

  test("while it is no member nothing is sent", async () => {
    const { scheduler, commits, requests, state } = setUp("after-processing");
    state.identity = undefined;
    commits.processed(T0, 1, 3);
    await scheduler.advance(3000);
    expect(requests).toEqual([]);
    state.identity = { groupId: "g", memberId: "m", generationIdOrMemberEpoch: 7 };
    await scheduler.advance(2000);
    expect(requests).toEqual([{ epoch: 7, offsets: { 0: 1 } }]);
  });

  test("what is refused for good is told once and not sent again; other partitions do not suffer", async () => {
    const { scheduler, commits, requests, errors, state } = setUp("after-processing");
    state.error = (partition) => (partition === 0 ? "OFFSET_METADATA_TOO_LARGE" : "NONE");
    commits.processed(T0, 1, 3);
    commits.processed(T1, 1, 3);
    await scheduler.advance(5000);
    expect(requests).toHaveLength(1);
    expect(errors).toMatchObject([{ code: "OFFSET_METADATA_TOO_LARGE" }]);
  });

  test("nothing is sent of a partition that was taken away", async () => {
    const { scheduler, commits, requests, state } = setUp("after-processing");
    state.error = () => "COORDINATOR_LOAD_IN_PROGRESS";
    commits.processed(T0, 4, 3);
    await scheduler.advance(50);
    commits.remove(T0);
    requests.length = 0;
    state.error = () => "NONE";
    await scheduler.advance(60_000);
    // The call that was under way when it went is tried to its end; a new one is never made.
    expect(requests.length).toBeLessThanOrEqual(1);
    commits.processed(T0, 5, 3);
    requests.length = 0;
    await scheduler.advance(1000);
    expect(requests).toEqual([]);
  });
});

describe("by hand", () => {
  test("a commit is done when the coordinator has it; processing alone sends nothing", async () => {
    const { scheduler, commits, requests, settle } = setUp("manual");
    commits.processed(T0, 9, 3);
    await scheduler.advance(1000);
    expect(requests).toEqual([]);
    await settle(commits.commit([{ ...T0, offset: 7, metadata: "note" }], { timeoutMs: 1000 }));
    expect(requests).toEqual([{ epoch: 5, offsets: { 0: 7 } }]);
  });

  test("many at once become few requests", async () => {
    const { commits, requests, settle } = setUp("manual", 20);
    const all = Array.from({ length: 100 }, (_, offset) =>
      commits.commit([{ ...T0, offset }], { timeoutMs: 1000 }),
    );
    await settle(Promise.all(all));
    expect(requests.length).toBeLessThanOrEqual(2);
    expect(requests.at(-1)?.offsets).toEqual({ 0: 99 });
  });

  test("what cannot be is refused at once and says what to do", async () => {
    const { commits, requests, state } = setUp("manual");
    const bounds = { timeoutMs: 1000 };
    state.end = 10;
    state.leaderEnd = 10;
    const other = await failureOf(commits.commit([{ topic: "t", partition: 7, offset: 1 }], bounds));
    expect(other).toMatchObject({ code: "UNKNOWN_MEMBER_ID" });
    expect(other.message).toMatch(/t-7: the partition is not assigned.*group g/);
    const past = await failureOf(commits.commit([{ ...T0, offset: 11 }], bounds));
    expect(past).toMatchObject({ code: "OFFSET_OUT_OF_RANGE", retriable: false });
    expect(past.message).toMatch(/11 is past the end.*which is 10.*plus one/);
    for (const offset of [-1, 1.5, Number.NaN]) {
      expect(await failureOf(commits.commit([{ ...T0, offset }], bounds))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    }
    // One that is wrong takes the others with it: nothing of the call is sent.
    await failureOf(
      commits.commit(
        [
          { ...T1, offset: 1 },
          { ...T0, offset: 11 },
        ],
        bounds,
      ),
    );
    expect(requests).toEqual([]);
  });

  test("an end that is not known here, or has moved on, is the leader's to tell", async () => {
    const { commits, requests, asked, state, settle } = setUp("manual");
    const bounds = { timeoutMs: 1000 };
    state.end = undefined;
    state.leaderEnd = 10;
    const error = await failureOf(commits.commit([{ ...T0, offset: 11 }], bounds));
    expect(error).toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    await settle(commits.commit([{ ...T0, offset: 10 }], bounds));
    state.end = 5;
    await settle(commits.commit([{ ...T1, offset: 9 }], bounds));
    expect(asked).toEqual([0, 0, 1]);
    await settle(commits.commit([{ ...T1, offset: 5 }], bounds));
    expect(asked).toHaveLength(3);
    expect(requests.map(({ offsets }) => offsets)).toEqual([{ 0: 10 }, { 1: 9 }, { 1: 5 }]);
  });

  test("a partition that went away and came back while its end was asked for is not committed (H60)", async () => {
    const { scheduler, commits, requests, state } = setUp("manual");
    state.end = undefined;
    const failed = failureOf(commits.commit([{ ...T0, offset: 10 }], { timeoutMs: 1000 }));
    commits.remove(T0);
    commits.add(T0);
    expect(await failed).toMatchObject({ code: "ILLEGAL_GENERATION" });
    await scheduler.advance(100);
    expect(requests).toEqual([]);
  });

  test("one that waits for an end is not overtaken by a later one", async () => {
    const { commits, requests, state, settle } = setUp("manual");
    state.end = undefined;
    const first = commits.commit([{ ...T0, offset: 10 }], { timeoutMs: 1000 });
    state.end = 1000;
    const second = commits.commit([{ ...T0, offset: 4 }], { timeoutMs: 1000 });
    await settle(Promise.all([first, second]));
    expect(requests.at(-1)?.offsets).toEqual({ 0: 4 });
  });

  test("one that nobody waits for any more is still sent behind the one before", async () => {
    const { scheduler, commits, requests, settle } = setUp("manual", 2000);
    const first = commits.commit([{ ...T0, offset: 1 }], { timeoutMs: 60_000 });
    await scheduler.advance(100);
    const second = await settle(failureOf(commits.commit([{ ...T1, offset: 2 }], { timeoutMs: 100 })));
    expect(second).toMatchObject({ code: "TIMEOUT" });
    await settle(first);
    await scheduler.advance(10_000);
    expect(requests.map(({ offsets }) => offsets)).toEqual([{ 0: 1 }, { 1: 2 }]);
  });

  test("the coordinator's refusal is the promise's, and no event", async () => {
    const { commits, errors, state, settle } = setUp("manual");
    state.error = () => "INVALID_REQUEST";
    const error = await settle(failureOf(commits.commit([{ ...T0, offset: 1 }], { timeoutMs: 1000 })));
    expect(error).toMatchObject({ code: "INVALID_REQUEST" });
    expect(errors).toEqual([]);
  });

  test("it waits no longer than it may", async () => {
    const { commits, state, settle } = setUp("manual");
    state.error = () => "REBALANCE_IN_PROGRESS";
    const error = await settle(failureOf(commits.commit([{ ...T0, offset: 1 }], { timeoutMs: 3000 })));
    expect(error).toMatchObject({ code: "TIMEOUT", retriable: true });
  });

  test("one whose partition is taken away hears so", async () => {
    const { scheduler, commits, state, settle } = setUp("manual");
    state.error = () => "REBALANCE_IN_PROGRESS";
    const failed = failureOf(commits.commit([{ ...T0, offset: 1 }], { timeoutMs: 30_000 }));
    await scheduler.advance(500);
    commits.remove(T0);
    const error = await settle(failed);
    expect(error).toMatchObject({ code: "ILLEGAL_GENERATION" });
    expect(error.message).toMatch(/t-0 was taken from this member of group g before offset 1/);
  });
});

test("a flush waits for what is processed, and gives up quietly with an error event", async () => {
  const { commits, requests, errors, state, settle } = setUp({ intervalMs: 60_000 });
  commits.processed(T0, 5, 3);
  await settle(commits.flush([T0, T1], { timeoutMs: 1000 }));
  expect(requests).toEqual([{ epoch: 5, offsets: { 0: 5 } }]);
  state.error = () => "UNSTABLE_OFFSET_COMMIT";
  commits.processed(T0, 6, 3);
  await settle(commits.flush([T0], { timeoutMs: 1000 }));
  expect(errors.at(-1)).toMatchObject({ code: "TIMEOUT" });
});

test("a close leaves no timer, and ends what waits", async () => {
  const { scheduler, commits, state, settle } = setUp("after-processing");
  state.error = () => "UNSTABLE_OFFSET_COMMIT";
  commits.processed(T0, 5, 3);
  const failed = failureOf(commits.commit([{ ...T1, offset: 1 }], { timeoutMs: 60_000 }));
  await scheduler.advance(1000);
  commits.close();
  expect(await settle(failed)).toMatchObject({ code: "CLOSED" });
  await scheduler.advance(5);
  expect(scheduler.pendingCount).toBe(0);
});
