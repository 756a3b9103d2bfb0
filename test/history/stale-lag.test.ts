import { expect, test } from "vitest";
import { Story } from "./story.ts";

const S = 1e9;

test("the lag of a poll runs from the acknowledgement of a later record to its begin", () => {
  const story = new Story()
    .send(1, "k", [["a", 0]], { at: [0, 1] })
    .send(1, "k", [["b", 1]], { at: [2, 3 * S] });
  story.poll(2, "k", [[0, "a"]], { at: [5 * S, 6 * S] });
  expect(story.report.staleLagMs).toEqual({ count: 1, p50: 2000, p99: 2000, max: 2000 });
});

test("a poll that reaches the newest record is not behind, nor is a final pass that begins at the start", () => {
  const story = new Story().send(1, "k", [["a", 0]], { at: [0, 1] }).send(1, "k", [["b", 1]], { at: [2, 3] });
  story.poll(2, "k", [
    [0, "a"],
    [1, "b"],
  ]);
  expect(story.pass(9, "k", 1, [[0, "a"]]).report.staleLagMs).toEqual({ count: 1, p50: 0, p99: 0, max: 0 });
});

test("30 s after the last fault a second behind is counted, before that it is only measured", () => {
  const tell = (healedAt: number): Story => {
    const story = new Story()
      .send(1, "k", [["a", 0]], { at: [0, 1] })
      .send(1, "k", [["b", 1]], { at: [2, 38 * S] });
    const fault = { type: "fault", n: 1, kind: "pause" } as const;
    story.line({ ...fault, at: "start", t: 1 }).line({ ...fault, at: "end", t: healedAt });
    return story.poll(2, "k", [[0, "a"]], { at: [40 * S, 41 * S] });
  };
  expect(tell(5 * S).anomalies()).toEqual({ "stale-lag": 1 });
  expect(tell(20 * S).anomalies()).toEqual({});
});
