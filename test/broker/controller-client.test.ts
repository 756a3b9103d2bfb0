import { beforeEach, describe, expect, test } from "vitest";
import { operationError } from "../../src/base/errors.ts";
import { ControllerClient } from "../../src/broker/controller-client.ts";
import type { ControllerClientDeps } from "../../src/broker/controller-client.ts";
import { encodeControllerResponse } from "../../src/controller/response-codec.ts";
import { ProtocolError } from "../../src/model/error-code.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

const LEADER: PeerAddress = { nodeId: nodeId(2), directoryId: "dir-2", endpoint: "b:9093" };
const ANSWER = { type: "addVoter", offset: 7, result: null } as const;
const REQUEST = { type: "addVoter", nodeId: nodeId(4) } as const;

let scheduler: Scheduler;
let leader: PeerAddress | undefined;
let isActive: boolean;
let appliedTo: number[];
/** What the calls to the leader come to, in order; the last one stays. */
let outcomes: (Error | "answer")[];
let calls: number;
let client: ControllerClient;

beforeEach(() => {
  scheduler = new Scheduler();
  leader = LEADER;
  isActive = false;
  appliedTo = [];
  outcomes = ["answer"];
  calls = 0;
  const next = (): void => {
    const outcome = outcomes[Math.min(calls, outcomes.length - 1)];
    calls += 1;
    if (outcome instanceof Error) throw outcome;
  };
  const deps: ControllerClientDeps = {
    clock: new SimClock({}, { scheduler }),
    quorum: {
      get role() {
        return { leader, epoch: 3, isActive };
      },
      status: {
        id: replicaIdOf(nodeId(1), "dir-1"),
        role: "follower",
        term: 3,
        leader: undefined,
        commit: 0,
        lastIndex: 0,
        durableIndex: 0,
        snapshotIndex: 0,
        voters: [{ id: replicaIdOf(nodeId(2), "dir-2"), endpoint: "b:9093" }],
        votersIndex: 1,
        progress: [],
        isSettled: false,
        transferTarget: undefined,
      },
      directoryId: "dir-1",
      waitApplied: async (offset) => {
        appliedTo.push(offset);
      },
      ensureRoom: async () => undefined,
    },
    controller: {
      call: async () => {
        next();
        return ANSWER;
      },
    },
    channel: {
      call: async () => {
        next();
        return encodeControllerResponse(ANSWER);
      },
      openSession: () => {
        throw new Error("not asked for here");
      },
    },
  };
  client = new ControllerClient(deps);
});

function call(timeoutMs = 1000): Promise<unknown> {
  return scheduler.settle(client.call(REQUEST, { timeoutMs }), 60_000);
}

function notController(isIndefinite: unknown): Error {
  return new ProtocolError("NOT_CONTROLLER", "not me", { context: { isIndefinite } });
}

describe("a request", () => {
  test("goes to the controller elsewhere and is answered when its effect is applied here", async () => {
    expect(await call()).toEqual(ANSWER);
    expect(appliedTo).toEqual([7]);
  });

  test("goes to the controller of this node when that is active", async () => {
    isActive = true;
    leader = { ...LEADER, directoryId: "dir-1" };
    expect(await call()).toEqual(ANSWER);
  });

  test.each([
    ["NOT_CONTROLLER of this process", notController(false)],
    ["NOT_CONTROLLER from the wire, whose context is text", notController("false")],
    [
      "a refused connection",
      operationError("CONNECTION_FAILED", "refused", { context: { isRefused: true } }),
    ],
  ])("that was certainly not carried out is sent again: %s", async (_what, error) => {
    outcomes = [error, error, "answer"];
    expect(await call()).toEqual(ANSWER);
    expect(calls).toBe(3);
  });

  test.each([
    ["an indefinite NOT_CONTROLLER", notController(true)],
    ["one from the wire", notController("true")],
    ["a lost connection", operationError("CONNECTION_FAILED", "lost")],
    ["a timeout", operationError("TIMEOUT", "no answer")],
    ["a refusal", new ProtocolError("DUPLICATE_VOTER", "it votes already")],
  ])("that may have been carried out, or never will be, is not: %s", async (_what, error) => {
    outcomes = [error, "answer"];
    await expect(call()).rejects.toBe(error);
    expect(calls).toBe(1);
  });
});

describe("without a controller", () => {
  test("a request waits for one, and goes out as soon as there is one", async () => {
    leader = undefined;
    const answer = client.call(REQUEST, { timeoutMs: 1000 });
    await scheduler.advance(990);
    expect(calls).toBe(0);
    leader = LEADER;
    client.roleChanged();
    expect(await scheduler.settle(answer, 5)).toEqual(ANSWER);
  });

  test("it ends with NO_QUORUM, which names the voters", async () => {
    leader = undefined;
    await expect(call()).rejects.toMatchObject({ code: "NO_QUORUM", retriable: true });
    await expect(call()).rejects.toThrow(/none is known.*2 at b:9093/);
    expect(scheduler.nowMs).toBe(2000);
  });

  test("one that does not answer is named too", async () => {
    outcomes = [notController(false)];
    await expect(call()).rejects.toThrow(/node 2 does not answer/);
  });

  test("the caller's signal ends the wait with its own reason", async () => {
    leader = undefined;
    const abort = new AbortController();
    const answer = client.call(REQUEST, { timeoutMs: 1000, signal: abort.signal });
    const reason = new Error("gone");
    abort.abort(reason);
    await expect(scheduler.settle(answer, 100)).rejects.toBe(reason);
  });
});
