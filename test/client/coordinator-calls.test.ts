import { expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { operationError } from "../../src/base/errors.ts";
import { CoordinatorCalls, coordinatorError } from "../../src/client/coordinator-calls.ts";
import { MetadataCache } from "../../src/client/metadata-cache.ts";
import { errorCodeOf, type ErrorName } from "../../src/model/error-code.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import type { FindCoordinatorRequest } from "../../src/rpc/group-messages.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { failureOf } from "./harness.ts";

const REQUEST = { groupId: "g", generationId: 1, memberId: "m" };

/** Brokers 0 and 1; `where` says which one the coordinator is. */
function setUp() {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  const cluster = new FakeCluster({ topics: {}, brokers: 2 }, { clock });
  const deps = { clock, random: new SeededRandom(1), logger: silentLogger, transport: cluster };
  const retry = { initialMs: 100, maxMs: 1000 };
  const metadata = new MetadataCache(
    { bootstrap: ["b0:9092", "b1:9092"], maxAgeMs: 300_000, requestTimeoutMs: 30_000, retry },
    deps,
  );
  const context = { ...deps, clientId: "", rack: "", requestTimeoutMs: 30_000, retry, metadata };
  const state = { where: 0, findError: "NONE" as ErrorName, heartbeat: (): ErrorName => "NONE" };
  cluster.answers.FindCoordinator = () => ({
    coordinators: [
      {
        groupId: "g",
        errorCode: errorCodeOf(state.findError),
        errorMessage: "",
        nodeId: state.where,
        host: `b${state.where}`,
        port: 9092,
      },
    ],
  });
  cluster.answers.Heartbeat = (_, address) => ({
    errorCode: errorCodeOf(address === `b${state.where}:9092` ? state.heartbeat() : "NOT_COORDINATOR"),
    errorMessage: "",
  });
  const calls = new CoordinatorCalls({ groupId: "g" }, { context });
  const heartbeat = (timeoutMs = 10_000, signal?: AbortSignal): Promise<{ errorCode: number }> =>
    scheduler.settle(calls.call("Heartbeat", REQUEST, { timeoutMs, signal }), 60_000);
  const finds = (): number => cluster.calls.filter((method) => method === "FindCoordinator").length;
  return { scheduler, clock, cluster, calls, state, heartbeat, finds };
}

test("the coordinator is looked for once and kept", async () => {
  const { heartbeat, finds, scheduler, calls } = setUp();
  await Promise.all([heartbeat(), scheduler.drain()]);
  await heartbeat();
  expect(finds()).toBe(1);
  expect(await scheduler.settle(calls.address({ timeoutMs: 1000 }), 1000)).toBe("b0:9092");
});

test("one that has moved is found again", async () => {
  const { heartbeat, finds, state } = setUp();
  await heartbeat();
  state.where = 1;
  expect(await heartbeat()).toMatchObject({ errorCode: 0 });
  expect(finds()).toBe(2);
});

test("one that is gone is looked for through the brokers that are left", async () => {
  const { heartbeat, cluster, state } = setUp();
  await heartbeat();
  cluster.down.add(0);
  state.where = 1;
  expect(await heartbeat()).toMatchObject({ errorCode: 0 });
});

test("brokers are told of one that cannot be reached again and again, and wait for another one", async () => {
  const { heartbeat, cluster, state } = setUp();
  await heartbeat();
  cluster.down.add(0);
  const told: (number | undefined)[] = [];
  const find = cluster.answers.FindCoordinator;
  cluster.answers.FindCoordinator = (request, address) => {
    const { unreachableNodeId } = request as FindCoordinatorRequest;
    told.push(unreachableNodeId);
    // Such a broker would have waited for the next one.
    if (unreachableNodeId === 0) state.where = 1;
    return find?.(request, address);
  };
  expect(await heartbeat()).toMatchObject({ errorCode: 0 });
  expect(told).toEqual([undefined, 0]);
  // The next one begins without a record.
  cluster.down.delete(0);
  cluster.down.add(1);
  state.where = 0;
  expect(await heartbeat()).toMatchObject({ errorCode: 0 });
  expect(told.slice(2)).toEqual([undefined]);
});

test("one that loads is waited for, and not looked for again", async () => {
  const { heartbeat, finds, state } = setUp();
  let loads = 4;
  state.heartbeat = () => (loads-- > 0 ? "COORDINATOR_LOAD_IN_PROGRESS" : "NONE");
  expect(await heartbeat()).toMatchObject({ errorCode: 0 });
  expect(finds()).toBe(1);
});

test("other errors in an answer are the caller's", async () => {
  const { heartbeat, state } = setUp();
  state.heartbeat = () => "REBALANCE_IN_PROGRESS";
  expect(await heartbeat()).toMatchObject({ errorCode: errorCodeOf("REBALANCE_IN_PROGRESS") });
});

test("a group that cannot be is refused at once, with the coordinator's word", async () => {
  const { heartbeat, state, finds } = setUp();
  state.findError = "INVALID_GROUP_ID";
  expect(await failureOf(heartbeat())).toMatchObject({ code: "INVALID_GROUP_ID" });
  expect(finds()).toBe(1);
});

test("at the deadline it says what went wrong last", async () => {
  const { heartbeat, state, clock } = setUp();
  state.findError = "COORDINATOR_NOT_AVAILABLE";
  const error = await failureOf(heartbeat(3000));
  expect(error).toMatchObject({ code: "TIMEOUT", retriable: true });
  expect(error.message).toMatch(/Heartbeat for group g.*3000 ms.*COORDINATOR_NOT_AVAILABLE/);
  expect(clock.monotonicMs()).toBeLessThan(3010);
});

test("a signal and a close end what waits", async () => {
  const { heartbeat, state, calls, scheduler } = setUp();
  state.findError = "COORDINATOR_NOT_AVAILABLE";
  const controller = new AbortController();
  const aborted = failureOf(heartbeat(10_000, controller.signal));
  await scheduler.drain();
  controller.abort(operationError("ABORTED", "enough"));
  expect(await aborted).toMatchObject({ code: "ABORTED", message: "enough" });
  const closed = failureOf(heartbeat());
  await scheduler.drain();
  calls.close();
  expect(await closed).toMatchObject({ code: "CLOSED" });
  expect(await failureOf(heartbeat())).toMatchObject({ code: "CLOSED" });
});

test("errors of the coordinator are found in the whole or in the items of an answer", () => {
  const errorCode = errorCodeOf("NOT_COORDINATOR");
  expect(coordinatorError({ errorCode })).toBe("NOT_COORDINATOR");
  expect(coordinatorError({ results: [{ errorCode }] })).toBe("NOT_COORDINATOR");
  expect(coordinatorError({ errorCode: 0, groups: [{ errorCode }] })).toBe("NOT_COORDINATOR");
  expect(coordinatorError({ results: [{ errorCode: errorCodeOf("UNKNOWN_MEMBER_ID") }] })).toBeUndefined();
  expect(coordinatorError({ results: [] })).toBeUndefined();
});
