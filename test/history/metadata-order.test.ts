import { describe, expect, test } from "vitest";
import type { OperationName } from "../../src/history/history-line.ts";
import { Story } from "./story.ts";

/** One metadata operation on one name. */
function topic(
  story: Story,
  f: OperationName,
  exists: boolean,
  index: number,
  more: {
    readonly at?: readonly [number, number];
    readonly outcome?: "ok" | "info";
    readonly name?: string;
  } = {},
): Story {
  const { name = "t", ...step } = more;
  return story.step(1, f, undefined, { ...step, more: { mops: [["topic", name, exists]], index } });
}

describe("metadata-inversion", () => {
  test("a change takes effect below one that had been acknowledged", () => {
    const story = topic(new Story(), "createTopic", true, 8);
    expect(topic(story, "createTopic", true, 7, { name: "u" }).anomalies()).toEqual({
      "metadata-inversion": 1,
    });
  });

  test("changes that overlap may take effect either way", () => {
    const story = topic(new Story(), "createTopic", true, 8, { at: [10, 30] });
    topic(story, "createTopic", true, 7, { name: "u", at: [20, 40] });
    expect(story.anomalies()).toEqual({});
  });

  test("a description from before an acknowledged change", () => {
    const story = topic(new Story(), "createTopic", true, 8);
    expect(topic(story, "describe", true, 7).anomalies()).toEqual({ "metadata-inversion": 1 });
  });

  test("two descriptions from different states are no matter", () => {
    const story = topic(new Story(), "describe", false, 8);
    expect(topic(story, "describe", false, 7).anomalies()).toEqual({});
  });

  test("an acknowledged topic that is not there", () => {
    const story = topic(new Story(), "createTopic", true, 3);
    expect(topic(story, "describe", false, 9).anomalies()).toEqual({ "metadata-inversion": 1 });
  });

  test("a deletion of unknown outcome, before or during the look, explains it", () => {
    const story = topic(new Story(), "createTopic", true, 3);
    topic(story, "deleteTopic", false, -1, { outcome: "info" });
    expect(topic(story, "describe", false, 9).anomalies()).toEqual({});
  });

  test("a deletion that was over before the creation began does not", () => {
    const story = topic(new Story(), "deleteTopic", false, 2);
    topic(story, "createTopic", true, 3);
    expect(topic(story, "describe", false, 9).anomalies()).toEqual({ "metadata-inversion": 1 });
  });
});
