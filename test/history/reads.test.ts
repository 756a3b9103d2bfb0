import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

describe("aborted-read", () => {
  const refused = { outcome: "fail", more: { attempts: [[1, 0, 0, "NOT_ENOUGH_REPLICAS"]] } } as const;

  test("a value whose send was refused before it was appended", () => {
    const story = new Story().send(1, "k", [["a", -1]], refused).poll(2, "k", [[0, "a"]]);
    expect(story.anomalies()).toEqual({ "aborted-read": 1 });
  });

  test("a refusal after an attempt of unknown outcome is no refusal", () => {
    const attempts = [
      [1, 0, 0, "TIMEOUT"],
      [2, 0, 0, "NOT_LEADER_OR_FOLLOWER"],
    ] as const;
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "fail", more: { attempts } });
    expect(story.poll(2, "k", [[0, "a"]]).anomalies()).toEqual({});
  });

  test("not enough replicas after the append is of unknown outcome", () => {
    const attempts = [[1, 0, 0, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"]] as const;
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "fail", more: { attempts } });
    expect(story.poll(2, "k", [[0, "a"]]).anomalies()).toEqual({});
  });
});

describe("future-read", () => {
  test("a poll that ended before the send began", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]], { at: [100, 110] })
      .poll(2, "k", [[0, "a"]], { at: [80, 90] });
    expect(story.anomalies()).toEqual({ "future-read": 1 });
  });

  test("a value that nobody sent", () => {
    expect(new Story().poll(2, "k", [[0, "a"]]).anomalies()).toEqual({ "future-read": 1 });
  });

  test("a record may be read before its send is acknowledged", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]], { at: [10, 100] })
      .poll(2, "k", [[0, "a"]], { at: [20, 30] });
    expect(story.anomalies()).toEqual({});
  });
});
