import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

const MS = 1e6;
const fault = { type: "fault", n: 1, kind: "kill-leader", nodes: [1] } as const;

/** A send each 10 ms, answered within 1 ms, but from `from` on only at `to`. */
function withGap(from: number, to: number): Story {
  const story = new Story();
  for (let at = 0, offset = 0; at < 1000; at += 10, offset++) {
    const ends = at + 1 > from && at < to ? to : at + 1;
    story.send(1, "k", [[`v${at}`, offset]], { at: [at * MS, ends * MS] });
  }
  return story;
}

describe("produce window", () => {
  test("runs from the fault to the first acknowledgement of a send that began after it, on the keys it hit", () => {
    const story = withGap(200, 500)
      .line({ ...fault, at: "start", t: 205 * MS, keys: ["k"] })
      .line({ ...fault, at: "end", t: 700 * MS, effect: "epoch 2" });
    const { availability } = story.report;
    expect(availability.produceGapMs).toEqual({ count: 1, p50: 295, p99: 295, max: 295 });
    expect(availability.faults).toMatchObject([{ kind: "kill-leader", count: 1, effective: 1 }]);
    expect(availability.longestGapMs).toBe(300);
  });

  test("the gap of a fault is the longest one while it lasted, also one that began later", () => {
    const story = withGap(600, 900)
      .line({ ...fault, kind: "rolling-restart", at: "start", t: 205 * MS, keys: ["k"] })
      .line({ ...fault, kind: "rolling-restart", at: "end", t: 700 * MS, effect: "x" });
    const [figures] = story.report.availability.faults;
    expect(figures?.windowMs.max).toBe(6);
    expect(figures?.gapMs.max).toBe(300);
  });

  test("kills of single brokers are what counts, where there are any", () => {
    const story = withGap(200, 500)
      .line({ ...fault, at: "start", t: 805 * MS, keys: ["k"] })
      .line({ ...fault, n: 2, kind: "pause", at: "start", t: 205 * MS, keys: ["k"] });
    expect(story.report.availability.produceGapMs).toMatchObject({ count: 1, max: 6 });
  });

  test("keys that were not hit have none", () => {
    const story = withGap(200, 500).line({ ...fault, at: "start", t: 205 * MS, keys: [] });
    expect(story.report.availability.produceGapMs.count).toBe(0);
  });

  test("a key that never comes back counts up to the end of the history", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]], { at: [0, MS] })
      .ends(2, "k", 1, { at: [90 * MS, 100 * MS] });
    story.line({ ...fault, at: "start", t: 40 * MS, keys: ["k"] });
    expect(story.report.availability.produceGapMs.max).toBe(60);
  });
});

test("a pause in which nobody tries is no gap", () => {
  const story = new Story()
    .send(1, "k", [["a", 0]], { at: [0, MS] })
    .send(1, "k", [["b", 1]], { at: [900 * MS, 902 * MS] });
  expect(story.report.availability.longestGapMs).toBe(2);
});

test("success rate counts records of every outcome", () => {
  const story = new Story()
    .send(1, "k", [["a", 0]])
    .send(1, "k", [["b", 1]])
    .send(1, "k", [["c", 2]]);
  story.send(1, "k", [["d", -1]], { outcome: "open" });
  expect(story.report.availability).toMatchObject({
    acknowledged: 3,
    unknown: 1,
    failed: 0,
    successRate: 0.75,
  });
});

test("what a client gives up because it is ended itself says nothing of the cluster", () => {
  const story = new Story()
    .send(1, "k", [["a", 0]])
    .send(1, "k", [["b", -1]], { outcome: "info", more: { err: "CLOSED" } })
    .send(1, "k", [["c", -1]], { outcome: "info", more: { err: "TIMEOUT" } });
  expect(story.report.availability).toMatchObject({
    acknowledged: 1,
    unknown: 1,
    abandoned: 1,
    successRate: 0.5,
  });
});

describe("recovery", () => {
  const observe = (t: number, isr: readonly number[]): object => ({
    type: "observe",
    t: t * MS,
    k: "k",
    leader: 1,
    le: 1,
    isr,
    replicas: [1, 2],
  });

  test("runs from the end of the fault until every ISR is full and every broker unfenced", () => {
    const story = new Story()
      .line({ ...fault, at: "start", t: 10 * MS })
      .line({ ...fault, at: "end", t: 50 * MS, effect: "x" });
    for (const [t, isr] of [
      [0, [1, 2]],
      [20, [1]],
      [80, [1, 2]],
    ] as const) {
      story.line(observe(t, isr) as never);
    }
    story
      .line({ type: "brokers", t: 20 * MS, fenced: [2] })
      .line({ type: "brokers", t: 95 * MS, fenced: [] });
    expect(story.report.availability.faults[0]?.recoveryMs).toMatchObject({ count: 1, max: 45 });
  });

  test("a cluster that is whole when the fault ends has recovered at once", () => {
    const story = new Story().line(observe(0, [1, 2]) as never);
    story.line({ ...fault, at: "start", t: 10 * MS }).line({ ...fault, at: "end", t: 50 * MS });
    expect(story.report.availability.faults[0]?.recoveryMs).toMatchObject({ count: 1, max: 0 });
  });
});
