import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

describe("lost-commit", () => {
  test("nothing is found after a commit was acknowledged", () => {
    const story = new Story().commit(1, "k", 5, "a").committed(2, "k", -1, "");
    expect(story.anomalies()).toEqual({ "lost-commit": 1 });
  });

  test("nothing may be found while the commit is on its way, or when nobody knows what became of it", () => {
    const story = new Story().commit(1, "k", 5, "a", { at: [10, 30] });
    story.committed(2, "k", -1, "", { at: [20, 40] });
    story.commit(1, "other", 5, "b", { outcome: "info" }).committed(2, "other", -1, "");
    expect(story.anomalies()).toEqual({});
  });
});

describe("phantom-commit", () => {
  test("a commit is found that nobody made", () => {
    const story = new Story().commit(1, "k", 5, "a").committed(2, "k", 6, "b");
    expect(story.anomalies()).toEqual({ "phantom-commit": 1 });
  });

  test("a commit is found that had certainly failed", () => {
    const story = new Story().commit(1, "k", 5, "a", { outcome: "fail", more: { attempts: [] } });
    expect(story.committed(2, "k", 5, "a").anomalies()).toEqual({ "phantom-commit": 1 });
  });

  test("a commit is found with another offset than its own", () => {
    const story = new Story().commit(1, "k", 5, "a").committed(2, "k", 4, "a");
    expect(story.anomalies()).toEqual({ "phantom-commit": 1 });
  });

  test("a commit of unknown outcome may be found, and one that is on its way", () => {
    const story = new Story().commit(1, "k", 5, "a", { outcome: "info" }).committed(2, "k", 5, "a");
    story.commit(1, "k", 7, "b", { at: [100, 130] }).committed(2, "k", 7, "b", { at: [110, 120] });
    expect(story.anomalies()).toEqual({});
  });
});

describe("commit-regress", () => {
  test("a commit is found that another had replaced", () => {
    const story = new Story().commit(1, "k", 5, "a").commit(1, "k", 9, "b").committed(2, "k", 5, "a");
    expect(story.anomalies()).toEqual({ "commit-regress": 1 });
  });

  test("commits that overlap may end in either order", () => {
    const story = new Story()
      .commit(1, "k", 5, "a", { at: [10, 30] })
      .commit(2, "k", 9, "b", { at: [20, 40] })
      .committed(3, "k", 5, "a");
    expect(story.anomalies()).toEqual({});
  });

  test("an offset that was moved back on purpose is right", () => {
    const story = new Story().commit(1, "k", 9, "a").commit(2, "k", 3, "b").committed(3, "k", 3, "b");
    expect(story.anomalies()).toEqual({});
  });

  test("a commit of unknown outcome may have come late", () => {
    const story = new Story()
      .commit(1, "k", 5, "a", { outcome: "open" })
      .commit(2, "k", 9, "b")
      .committed(3, "k", 5, "a");
    expect(story.anomalies()).toEqual({});
  });
});

describe("zero-offset", () => {
  test("an offset is found where nobody ever committed", () => {
    expect(new Story().committed(1, "k", 0, "").anomalies()).toEqual({ "zero-offset": 1 });
  });

  test("offset 0 that was committed is no such thing", () => {
    expect(new Story().commit(1, "k", 0, "a").committed(2, "k", 0, "a").anomalies()).toEqual({});
  });
});
