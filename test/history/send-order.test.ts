import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

describe("order of one process", () => {
  test("int-nonmonotonic-send: two records of one operation stand the wrong way round", () => {
    const story = new Story().send(1, "k", [
      ["a", 1],
      ["b", 0],
    ]);
    expect(story.anomalies()).toEqual({ "int-nonmonotonic-send": 1 });
  });

  test("nonmonotonic-send: two operations that overlap stand the wrong way round", () => {
    const story = new Story()
      .send(1, "k", [["a", 1]], { at: [10, 100] })
      .send(1, "k", [["b", 0]], { at: [20, 90] });
    expect(story.anomalies()).toEqual({ "nonmonotonic-send": 1 });
    expect(story.violations()).toEqual(["nonmonotonic-send"]);
  });

  test("plain, pipelined and retried: it is allowed; without a retry it is not", () => {
    const twice = [
      [1, 0, 0, "TIMEOUT"],
      [1, 0, 0, null],
    ] as const;
    const tell = (inFlight: number, isRetried: boolean): Story =>
      new Story("plain", { inFlight })
        .send(1, "k", [["a", 1]], { at: [10, 100], ...(isRetried ? { more: { attempts: twice } } : {}) })
        .send(1, "k", [["b", 0]], { at: [20, 90] });
    expect(tell(5, true).violations()).toEqual([]);
    expect(tell(5, false).violations()).toEqual(["nonmonotonic-send"]);
    expect(tell(1, true).violations()).toEqual(["nonmonotonic-send"]);
  });

  test("a record of unknown outcome, of a session that is not known, may come in late", () => {
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "info" }).send(1, "k", [["b", 0]]);
    story.poll(2, "k", [
      [0, "b"],
      [1, "a"],
    ]);
    expect(story.anomalies()).toEqual({});
  });

  test("within one producer session it may not", () => {
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "info" }).send(1, "k", [["b", 0]]);
    story.poll(2, "k", [
      [0, "b", 0, 7, 0, 1],
      [1, "a", 0, 7, 0, 0],
    ]);
    expect(story.anomalies()).toEqual({ "nonmonotonic-send": 1 });
  });

  test("int-send-skip: others between two records of one operation are always legal", () => {
    const story = new Story()
      .send(1, "k", [
        ["a", 0],
        ["b", 2],
      ])
      .send(2, "k", [["c", 1]], { at: [10, 20] });
    expect(story.anomalies()).toEqual({ "int-send-skip": 1 });
    expect(story.violations()).toEqual([]);
  });
});

describe("realtime-inversion", () => {
  test("a send that began after another was acknowledged stands below it", () => {
    const story = new Story().send(1, "k", [["a", 5]]).send(2, "k", [["b", 4]]);
    expect(story.anomalies()).toEqual({ "realtime-inversion": 1 });
  });

  test("sends that overlap may stand either way", () => {
    const story = new Story()
      .send(1, "k", [["a", 5]], { at: [10, 30] })
      .send(2, "k", [["b", 4]], { at: [20, 40] });
    expect(story.anomalies()).toEqual({});
  });

  test("keys have no order among each other", () => {
    const story = new Story().send(1, "k", [["a", 5]]).send(2, "other", [["b", 4]]);
    expect(story.anomalies()).toEqual({});
  });
});
