import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

describe("end-offset-regression (KIP-207)", () => {
  test("the end of a key goes back", () => {
    expect(new Story().ends(1, "k", 5).ends(2, "k", 4).anomalies()).toEqual({ "end-offset-regression": 1 });
  });

  test("questions that overlap may be answered either way", () => {
    const story = new Story().ends(1, "k", 5, { at: [10, 30] }).ends(2, "k", 4, { at: [20, 40] });
    expect(story.anomalies()).toEqual({});
  });

  test("ends of different isolation are not compared", () => {
    const story = new Story().ends(1, "k", 5).ends(2, "k", 4, { more: { iso: "read_committed" } });
    expect(story.anomalies()).toEqual({});
  });
});

describe("epoch-regression", () => {
  const from = (node: number, le: number): { more: { node: number; le: number } } => ({ more: { node, le } });

  test("a node answers in an older epoch than before", () => {
    const story = new Story().ends(1, "k", 1, from(2, 7)).ends(1, "k", 1, from(2, 6));
    expect(story.anomalies()).toEqual({ "epoch-regression": 1 });
  });

  test("another node may not know of the newer epoch yet", () => {
    const story = new Story().ends(1, "k", 1, from(2, 7)).ends(1, "k", 1, from(3, 6));
    expect(story.anomalies()).toEqual({});
  });

  test("batch epochs go down along the log", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "k", [["b", 1]]);
    story.pass(9, "k", 2, [
      [0, "a", 3],
      [1, "b", 2],
    ]);
    expect(story.anomalies()).toEqual({ "epoch-regression": 1 });
  });

  test("batch epochs that stay or rise are right, and unknown ones say nothing", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]])
      .send(1, "k", [["b", 1]])
      .send(1, "k", [["c", 2]]);
    story.pass(9, "k", 3, [
      [0, "a", 3],
      [1, "b"],
      [2, "c", 3],
    ]);
    expect(story.anomalies()).toEqual({});
  });
});

describe("session-gap", () => {
  const sequence = (seq: number): { readonly more: object } => ({ more: { pid: 4, ep: 0, seq } });
  const unknown = (seq: number): { readonly outcome: "info"; readonly more: object } => ({
    outcome: "info",
    ...sequence(seq),
  });

  test("a later record of the session is there, an earlier one of unknown outcome is not", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]], sequence(0))
      .send(1, "k", [["b", -1]], unknown(1))
      .send(1, "k", [["c", 1]], sequence(2));
    story.pass(9, "k", 2, [
      [0, "a"],
      [1, "c"],
    ]);
    expect(story.anomalies()).toEqual({ "session-gap": 1 });
  });

  test("the first record of the session is missing, as the log itself tells", () => {
    const story = new Story().send(1, "k", [["b", 0]]).pass(9, "k", 1, [[0, "b", 0, 4, 0, 1]]);
    expect(story.anomalies()).toEqual({ "session-gap": 1 });
  });

  test("a sequence whose send had certainly failed before may be missing", () => {
    const refused = {
      outcome: "fail",
      more: { pid: 4, ep: 0, seq: 1, err: "MESSAGE_TOO_LARGE", attempts: [] },
    } as const;
    const tell = (failed: object): Story =>
      new Story()
        .send(1, "k", [["a", 0]], sequence(0))
        .send(1, "k", [["b", -1]], failed)
        .send(1, "k", [["c", 1]], { ...sequence(2), at: [50, 60] })
        .pass(9, "k", 2, [
          [0, "a"],
          [1, "c"],
        ]);
    expect(tell({ ...refused, at: [30, 40] }).anomalies()).toEqual({});
    expect(tell({ ...refused, at: [30, 55] }).anomalies()).toEqual({ "session-gap": 1 });
  });

  test("the tail of a session may be missing, and each session counts from 0", () => {
    const story = new Story().send(1, "k", [["a", 0]], sequence(0)).send(1, "k", [["b", -1]], unknown(1));
    story.send(1, "k", [["c", 1]], { more: { pid: 5, ep: 0, seq: 0 } });
    story.pass(9, "k", 2, [
      [0, "a"],
      [1, "c"],
    ]);
    expect(story.anomalies()).toEqual({});
  });

  test("where retention took the beginning, the first sequences are missing by right", () => {
    const story = new Story().send(1, "k", [["b", 5]]).pass(9, "k", 6, [[5, "b", 0, 4, 0, 5]], 5);
    expect(story.anomalies()).toEqual({});
  });
});
