import { describe, expect, test } from "vitest";
import { outcomeOf } from "../../src/history/outcome.ts";

describe("a failure counts as one", () => {
  test("when every attempt was refused before it could have an effect", () => {
    const attempts = [
      [1, 0, 1, "NOT_LEADER_OR_FOLLOWER"],
      [2, 1, 2, "NOT_ENOUGH_REPLICAS"],
    ] as const;
    expect(outcomeOf({ type: "fail", attempts })).toBe("fail");
  });

  test("when nothing left the process", () => {
    expect(outcomeOf({ type: "fail", attempts: [], err: "DELIVERY_TIMEOUT" })).toBe("fail");
  });

  test("when the client does not tell its attempts but a definite error", () => {
    expect(outcomeOf({ type: "fail", err: "MESSAGE_TOO_LARGE" })).toBe("fail");
  });
});

describe("a failure is of unknown outcome", () => {
  test.each(["TIMEOUT", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "CONNECTION_FAILED", "UNKNOWN_SERVER_ERROR"])(
    "when one attempt ended with %s, whatever later ones say",
    (error) => {
      const attempts = [
        [1, 0, 1, error],
        [2, 1, 2, "NOT_LEADER_OR_FOLLOWER"],
      ] as const;
      expect(outcomeOf({ type: "fail", attempts })).toBe("info");
    },
  );

  test("when nothing definite is told", () => {
    expect(outcomeOf({ type: "fail" })).toBe("info");
  });
});

test("what the client calls ok or unknown stays so", () => {
  expect(outcomeOf({ type: "ok", attempts: [[1, 0, 1, null]] })).toBe("ok");
  expect(outcomeOf({ type: "info", err: "MESSAGE_TOO_LARGE" })).toBe("info");
});
