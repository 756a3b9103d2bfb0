import { describe, expect, test } from "vitest";
import { LeaderEpochCache } from "../../src/log/leader-epoch-cache.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { compareHistories, truncationPoint } from "../../src/replication/divergence.ts";
import type { LeaderHistory } from "../../src/replication/divergence.ts";

/** A log by the epochs that wrote it, each with its first offset. */
function log(epochs: readonly (readonly [number, number])[], end: number, start = 0): LeaderHistory {
  const cache = new LeaderEpochCache(
    epochs.map(([epoch, startOffset]) => ({
      epoch: epoch as LeaderEpoch,
      startOffset: startOffset as Offset,
    })),
  );
  const logEndOffset = end as Offset;
  return {
    logStartOffset: start as Offset,
    logEndOffset,
    latestEpoch: cache.latestEpoch,
    endOffsetForEpoch: (epoch) => cache.endOffsetFor(epoch, logEndOffset),
  };
}

function compare(follower: LeaderHistory, leader: LeaderHistory): ReturnType<typeof compareHistories> {
  return compareHistories(
    {
      leaderEpoch: 9 as LeaderEpoch,
      logEndOffset: follower.logEndOffset,
      lastEpoch: follower.latestEpoch,
    },
    leader,
  );
}

describe("the leader", () => {
  test("agrees to what is the beginning of its own log", () => {
    const leader = log(
      [
        [1, 0],
        [3, 10],
      ],
      20,
    );
    expect(compare(log([], 0), leader)).toEqual({ type: "ok" });
    expect(compare(log([[1, 0]], 10), leader)).toEqual({ type: "ok" });
    expect(
      compare(
        log(
          [
            [1, 0],
            [3, 10],
          ],
          20,
        ),
        leader,
      ),
    ).toEqual({ type: "ok" });
  });

  test("names the end of the follower's last epoch, or of the one before it", () => {
    const leader = log(
      [
        [1, 0],
        [3, 10],
      ],
      20,
    );
    expect(compare(log([[1, 0]], 12), leader)).toEqual({ type: "diverging", epoch: 1, endOffset: 10 });
    expect(
      compare(
        log(
          [
            [1, 0],
            [2, 5],
          ],
          8,
        ),
        leader,
      ),
    ).toEqual({ type: "diverging", epoch: 1, endOffset: 10 });
    expect(
      compare(
        log(
          [
            [1, 0],
            [3, 10],
          ],
          25,
        ),
        leader,
      ),
    ).toEqual({ type: "diverging", epoch: 3, endOffset: 20 });
  });

  test("names its last epoch to a follower that wrote in a later one (it wrote nothing itself yet)", () => {
    const leader = log(
      [
        [1, 0],
        [3, 10],
      ],
      20,
    );
    const follower = log(
      [
        [1, 0],
        [3, 10],
        [4, 20],
      ],
      22,
    );
    const answer = compare(follower, leader);
    expect(answer).toEqual({ type: "diverging", epoch: 3, endOffset: 20 });
    if (answer.type === "diverging") expect(truncationPoint(answer, follower)).toBe(20);
  });

  test("without a record lets a follower cut everything behind its end", () => {
    const follower = log([[1, 0]], 5);
    const answer = compare(follower, log([], 0));
    expect(answer).toEqual({ type: "diverging", epoch: -1, endOffset: 0 });
    if (answer.type === "diverging") expect(truncationPoint(answer, follower)).toBe(0);
  });

  test("resets a follower that ends before its first record, or there with another history", () => {
    const leader = log([[5, 20]], 30, 20);
    expect(compare(log([[1, 0]], 19), leader)).toEqual({ type: "reset", logStartOffset: 20 });
    expect(compare(log([[6, 0]], 20), leader)).toEqual({ type: "reset", logStartOffset: 20 });
    expect(compare(log([], 20, 20), leader)).toEqual({ type: "ok" });
  });
});

describe("the follower", () => {
  test("cuts at the earlier of both ends of the epoch", () => {
    const own = log(
      [
        [1, 0],
        [2, 8],
      ],
      12,
    );
    const epoch = 1 as LeaderEpoch;
    expect(truncationPoint({ epoch, endOffset: 5 as Offset }, own)).toBe(5);
    expect(truncationPoint({ epoch, endOffset: 10 as Offset }, own)).toBe(8);
  });

  test("cuts everything of its own when it has no epoch that old", () => {
    const own = log([[4, 3]], 12, 3);
    expect(truncationPoint({ epoch: 2 as LeaderEpoch, endOffset: 10 as Offset }, own)).toBe(3);
  });
});
