import { describe, expect, test } from "vitest";
import { Sessions } from "../../src/controller/sessions.ts";
import type { SessionOwner } from "../../src/controller/sessions.ts";
import { nodeId } from "../../src/model/ids.ts";

const owner = (id: number, brokerEpoch = 10): SessionOwner => ({
  nodeId: nodeId(id),
  incarnationId: `run at ${brokerEpoch}`,
  brokerEpoch,
});

function sessionsOf(...ids: number[]): Sessions {
  const sessions = new Sessions({ timeoutMs: 3000, reconnectGraceMs: 500 });
  for (const id of ids) sessions.begin(owner(id), id, 0);
  return sessions;
}

const dueAt = (sessions: Sessions, nowMs: number): number[] => sessions.due(nowMs).map((due) => due.nodeId);

describe("a session", () => {
  test("is due exactly a timeout after it was last heard", () => {
    const sessions = sessionsOf(1);
    sessions.heard(sessions.get(nodeId(1))!, 1000);
    expect(dueAt(sessions, 3999)).toEqual([]);
    expect(dueAt(sessions, 4000)).toEqual([1]);
    expect(sessions.nextDeadlineMs).toBe(4000);
  });

  test("is due after the grace when its stream ends, but never later than it was", () => {
    const sessions = sessionsOf(1, 2);
    sessions.streamEnded(nodeId(1), 1, 1000);
    sessions.streamEnded(nodeId(2), 2, 2900);
    expect(sessions.get(nodeId(1))).toMatchObject({ deadlineMs: 1500, streamId: undefined });
    expect(sessions.get(nodeId(2))).toMatchObject({ deadlineMs: 3000, streamId: undefined });
  });

  test("does not mind the end of a stream that it is not on", () => {
    const sessions = sessionsOf(1);
    sessions.begin(owner(1), 7, 100);
    expect(sessions.streamEnded(nodeId(1), 1, 200)).toBeUndefined();
    expect(sessions.get(nodeId(1))).toMatchObject({ deadlineMs: 3100, streamId: 7 });
  });

  test("is replaced by that of the next registration, which the old one can no longer end or extend", () => {
    const sessions = sessionsOf(1);
    const old = sessions.get(nodeId(1))!;
    sessions.begin(owner(1, 11), 2, 100);
    sessions.expire(old, 200);
    sessions.heard(old, 5000);
    expect(sessions.get(nodeId(1))).toMatchObject({ brokerEpoch: 11, deadlineMs: 3100 });
  });

  test("that was expired is due at once", () => {
    const sessions = sessionsOf(1, 2);
    sessions.expire(sessions.get(nodeId(2))!, 50);
    expect(dueAt(sessions, 50)).toEqual([2]);
    expect(sessions.nextDeadlineMs).toBe(50);
  });
});

test("those that are due come by deadline, then by node id", () => {
  const sessions = sessionsOf(3, 1, 2);
  sessions.heard(sessions.get(nodeId(1))!, 10);
  expect(dueAt(sessions, 9999)).toEqual([2, 3, 1]);
});

test("a wish to stop holds for the registration that had it, also behind the end of its session", () => {
  const sessions = sessionsOf(1, 2);
  sessions.stopping(owner(1));
  expect([1, 2].map((id) => sessions.isStopping(owner(id)))).toEqual([true, false]);
  sessions.end(nodeId(1));
  sessions.begin(owner(1), 3, 100);
  expect(sessions.isStopping(owner(1))).toBe(true);
  expect(sessions.isStopping(owner(1, 11))).toBe(false);
  sessions.clear();
  expect(sessions.isStopping(owner(1))).toBe(false);
});

test("without sessions there is no deadline", () => {
  const sessions = sessionsOf(1, 2);
  sessions.end(nodeId(1));
  expect(sessions.nextDeadlineMs).toBe(3000);
  sessions.clear();
  expect(sessions.nextDeadlineMs).toBeUndefined();
  expect(sessions.size).toBe(0);
});
