import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

const all = { withUnseen: true };

describe("lost-write", () => {
  test("bounded: nobody read an acknowledged value, though somebody read a later one", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story.poll(2, "k", [[1, "b"]]);
    expect(story.anomalies(all)).toEqual({ "lost-write": 1 });
  });

  test("bounded: a value above all that was read is not lost yet", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story.poll(2, "k", [[0, "a"]]);
    expect(story.anomalies(all)).toEqual({ unseen: 1 });
  });

  test("bounded: a send of unknown outcome that nobody saw was not made", () => {
    const story = new Story().send(1, "k", [["a", 0]], { outcome: "info" }).send(2, "k", [["b", 1]]);
    story.poll(2, "k", [[1, "b"]]);
    expect(story.anomalies(all)).toEqual({});
  });

  test("final: the complete pass lacks an acknowledged value", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story
      .poll(2, "k", [[0, "a"]])
      .poll(2, "k", [[1, "b"]])
      .pass(9, "k", 3, [[0, "a"]]);
    expect(story.anomalies(all)).toEqual({ "lost-write": 1, vanished: 1 });
  });

  test("final: it is loss too when the log ends below what had been acknowledged", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story.pass(9, "k", 1, [[0, "a"]]);
    expect(story.anomalies(all)).toEqual({ "lost-write": 1 });
  });

  test("final: an acknowledgement without its offset is judged once everything acknowledged is behind the pass", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", -1]]);
    expect(story.pass(9, "k", 2, [[0, "a"]]).anomalies(all)).toEqual({ "lost-write": 1 });
  });

  test("final: gaps in the offsets are no loss (control batches)", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 5]]);
    story.poll(2, "k", [
      [0, "a"],
      [5, "b"],
    ]);
    story.pass(9, "k", 7, [
      [0, "a"],
      [5, "b"],
    ]);
    expect(story.anomalies(all)).toEqual({});
  });

  test("final: what lies below the start of the log went by retention", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story.poll(2, "k", [
      [0, "a"],
      [1, "b"],
    ]);
    expect(story.pass(9, "k", 2, [[1, "b"]], 1).anomalies(all)).toEqual({});
  });

  test("final: each of two passes has to give everything", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]])
      .pass(8, "k", 1, [[0, "a"]])
      .pass(9, "k", 1, []);
    expect(story.anomalies(all)).toEqual({ "lost-write": 1, vanished: 1 });
  });

  test("final: what was acknowledged only after the end was asked for may be missing", () => {
    const story = new Story().send(1, "k", [["a", 0]]);
    story
      .pass(9, "k", 1, [[0, "a"]])
      .send(1, "k", [["b", 1]])
      .poll(2, "k", [
        [0, "a"],
        [1, "b"],
      ]);
    expect(story.anomalies(all)).toEqual({});
  });

  describe("with acks=1", () => {
    const lossy = (lossAt: number): Story => {
      const story = new Story("plain-acks-1").send(1, "k", [["a", 0]], { at: [0, 1e9] });
      const state = { type: "observe", k: "k", leader: 1, isr: [1], replicas: [1, 2] } as const;
      story.line({ ...state, t: 0, le: 1 }).line({ ...state, t: lossAt, le: 2 });
      return story.pass(9, "k", 1, []);
    };

    test("a record may die with a leader that fell soon after it", () => {
      expect(lossy(3e9).anomalies(all)).toEqual({ "lost-write": 1 });
      expect(lossy(3e9).violations()).toEqual([]);
    });

    test("a record that the followers had to have may not", () => {
      expect(lossy(60e9).violations()).toEqual(["lost-write"]);
    });
  });
});

describe("vanished", () => {
  test("a value that was read and that the final pass does not find where it was", () => {
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "info" }).poll(2, "k", [[0, "a"]]);
    expect(story.pass(9, "k", 4, []).anomalies(all)).toEqual({ vanished: 1 });
  });

  test("a value that was read above the end that the log has in the end", () => {
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "info" }).poll(2, "k", [[3, "a"]]);
    expect(story.pass(9, "k", 3, []).anomalies(all)).toEqual({ vanished: 1 });
  });

  test("a value of unknown outcome that nobody read may be gone", () => {
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "info" });
    expect(story.pass(9, "k", 4, []).anomalies(all)).toEqual({});
  });

  test("what a failed poll gave does not count as read", () => {
    const story = new Story().send(1, "k", [["a", -1]], { outcome: "info" });
    story.poll(2, "k", [[0, "a"]], { outcome: "info" });
    expect(story.pass(9, "k", 4, []).anomalies(all)).toEqual({});
  });
});

describe("unseen", () => {
  test("acknowledged, not read, and no pass came to its end", () => {
    const story = new Story().send(1, "k", [["a", 0]]);
    story.line({ type: "final", t: 50, p: 9, k: "k", start: 0, end: 1, since: 30, reached: 0 });
    expect(story.anomalies(all)).toEqual({ unseen: 1 });
  });

  test("read by anybody is seen", () => {
    const story = new Story().send(1, "k", [["a", 0]]).poll(2, "k", [[0, "a"]]);
    expect(story.anomalies(all)).toEqual({});
  });
});
