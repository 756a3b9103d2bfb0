import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

/** Three records that some other reader has seen. */
function written(): Story {
  return new Story()
    .send(1, "k", [["a", 0]])
    .send(1, "k", [["b", 1]])
    .send(1, "k", [["c", 2]])
    .poll(8, "k", [
      [0, "a"],
      [1, "b"],
      [2, "c"],
    ]);
}

describe("inside one poll", () => {
  test("a record left out", () => {
    const story = written().poll(2, "k", [
      [0, "a"],
      [2, "c"],
    ]);
    expect(story.anomalies()).toEqual({ "int-poll-skip": 1 });
  });

  test("a step back, and standing still", () => {
    const back = written().poll(2, "k", [
      [1, "b"],
      [0, "a"],
    ]);
    expect(back.anomalies()).toEqual({ "int-nonmonotonic-poll": 1 });
    const still = written().poll(2, "k", [
      [1, "b"],
      [1, "b"],
    ]);
    expect(still.anomalies()).toEqual({ "int-nonmonotonic-poll": 1 });
  });

  test("an offset that holds no value is not left out", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 4]]);
    story.poll(2, "k", [
      [0, "a"],
      [4, "b"],
    ]);
    expect(story.anomalies()).toEqual({});
  });
});

describe("from one poll to the next", () => {
  test("a record left out", () => {
    const story = written()
      .poll(2, "k", [[0, "a"]])
      .poll(2, "k", [[2, "c"]]);
    expect(story.anomalies()).toEqual({ "poll-skip": 1 });
  });

  test("a step back", () => {
    const story = written()
      .poll(2, "k", [[1, "b"]])
      .poll(2, "k", [[0, "a"]]);
    expect(story.anomalies()).toEqual({ "nonmonotonic-poll": 1 });
  });

  test("a duplicate that the profile allows is no step back", () => {
    const story = new Story("plain").send(1, "k", [["a", -1]], { outcome: "info" }).send(1, "k", [["b", 1]]);
    story
      .poll(2, "k", [[0, "a"]])
      .poll(2, "k", [[1, "b"]])
      .poll(2, "k", [[2, "a"]]);
    expect(story.anomalies()).toEqual({ duplicate: 1 });
  });

  test.each(["assign", "seek"] as const)("%s breaks the streak", (f) => {
    const mop = f === "seek" ? (["seek", "k", 2] as const) : (["assign", "k"] as const);
    const story = written().poll(2, "k", [[0, "a"]]);
    story.step(2, f, undefined, { more: { mops: [mop] } }).poll(2, "k", [[2, "c"]]);
    expect(story.anomalies()).toEqual({});
  });

  test("a rebalance of the key during the poll breaks it, and one of another key does not", () => {
    const after = (key: string): Story =>
      written()
        .poll(2, "k", [[0, "a"]])
        .poll(2, "k", [[2, "c"]], { more: { reb: { revoked: [key], gained: [] } } });
    expect(after("k").anomalies()).toEqual({});
    expect(after("other").anomalies()).toEqual({ "poll-skip": 1 });
  });

  test.each(["fail", "info"] as const)("a poll that ends with %s breaks it", (outcome) => {
    const story = written().poll(2, "k", [[0, "a"]]);
    story.step(2, "poll", [["poll"]], { outcome }).poll(2, "k", [[2, "c"]]);
    expect(story.anomalies()).toEqual({});
  });

  test("the crash of the process breaks it", () => {
    const story = written()
      .poll(2, "k", [[0, "a"]])
      .step(2, "crash", undefined)
      .poll(2, "k", [[2, "c"]]);
    expect(story.anomalies()).toEqual({});
  });

  test("keys that a group gives are only counted", () => {
    const story = written().step(2, "subscribe", undefined, { more: { mops: [["subscribe", "k"]] } });
    story
      .poll(2, "k", [[0, "a"]])
      .poll(2, "k", [[2, "c"]])
      .poll(2, "k", [[0, "a"]]);
    expect(story.anomalies()).toEqual({ "poll-skip-subscribed": 1, "nonmonotonic-poll-subscribed": 1 });
    expect(story.violations()).toEqual([]);
  });

  test("two processes read on their own", () => {
    expect(
      written()
        .poll(2, "k", [[0, "a"]])
        .poll(3, "k", [[2, "c"]])
        .anomalies(),
    ).toEqual({});
  });
});
