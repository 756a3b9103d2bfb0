import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

describe("double-assignment", () => {
  test("two members are given a key in one generation", () => {
    expect(new Story().gains(1, "k", 3).gains(2, "k", 3).anomalies()).toEqual({ "double-assignment": 1 });
  });

  test("the same member may be told twice, and another in the next generation", () => {
    expect(new Story().gains(1, "k", 3).gains(1, "k", 3).gains(2, "k", 4).anomalies()).toEqual({});
  });

  test("two members process one record in one generation", () => {
    const story = new Story().handles(1, "k", 3, 0, 5).handles(2, "k", 3, 5, 9);
    expect(story.anomalies()).toEqual({ "double-assignment": 1 });
  });

  test("a longer stretch below hides no overlap", () => {
    const story = new Story().handles(1, "k", 3, 0, 9).handles(1, "k", 3, 1, 2).handles(2, "k", 3, 5, 6);
    expect(story.anomalies()).toEqual({ "double-assignment": 1 });
  });

  test("the next generation may process again what was not committed", () => {
    expect(new Story().handles(1, "k", 3, 0, 5).handles(2, "k", 4, 2, 9).anomalies()).toEqual({});
  });
});

describe("stale-generation-commit", () => {
  test("a commit of the former owner is taken", () => {
    const story = new Story().gains(1, "k", 3).gains(2, "k", 4).commit(1, "k", 5, "a");
    expect(story.anomalies()).toEqual({ "stale-generation-commit": 1 });
  });

  test("it may fail, or have been under way before the new owner knew", () => {
    const story = new Story().gains(1, "k", 3).commit(1, "k", 4, "a", { at: [15, 60] });
    story.gains(2, "k", 4).commit(1, "k", 5, "b", { outcome: "fail" });
    expect(story.anomalies()).toEqual({});
  });

  test("who got the key back commits by right, also when the other hears late of what it had", () => {
    const story = new Story().gains(1, "k", 3).gains(1, "k", 5).gains(2, "k", 4).commit(1, "k", 5, "a");
    expect(story.anomalies()).toEqual({});
  });

  test("an operator who never had the key resets it by right", () => {
    expect(new Story().gains(1, "k", 3).commit(7, "k", 0, "reset").anomalies()).toEqual({});
  });
});

describe("lost-processing", () => {
  test("an acknowledged record was processed by nobody", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story.handles(2, "k", 1, 0, 0).groupEnd("k", 2);
    expect(story.anomalies()).toEqual({ "lost-processing": 1 });
  });

  test("every acknowledged record was processed, some of them twice; what has no answer is nobody's duty", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story.send(1, "k", [["c", -1]], { outcome: "info" });
    story.handles(2, "k", 1, 0, 1).handles(3, "k", 2, 1, 1).groupEnd("k", 2);
    expect(story.anomalies()).toEqual({});
  });

  test("what lies above the end that was waited for is not judged", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    expect(story.handles(2, "k", 1, 0, 0).groupEnd("k", 1).anomalies()).toEqual({});
  });
});

test("a group of which nothing is shown makes a run void", () => {
  const gate = (story: Story): boolean | undefined =>
    story.report.gates.find(({ name }) => name === "groups worked")?.isMet;
  expect(gate(new Story())).toBe(true);
  expect(gate(new Story().gains(1, "k", 1))).toBe(false);
  const whole = new Story().gains(1, "k", 1).handles(1, "k", 1, 0, 0).commit(1, "k", 1, "a").groupEnd("k", 1);
  expect(gate(whole)).toBe(true);
});
