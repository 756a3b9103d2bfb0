import { expect, test } from "vitest";
import type { RunLine } from "../../src/history/history-line.ts";
import { Story } from "./story.ts";

/** Names of the gates that are not met. */
function unmet(story: Story, run: Partial<RunLine> = {}): string[] {
  story.lines[0] = { type: "run", run: "r", profile: "idempotent", minSends: 0, ...run };
  return story.report.gates.filter(({ isMet }) => !isMet).map(({ name }) => name);
}

const clean = (): Story => new Story().send(1, "k", [["a", 0]]).pass(9, "k", 1, [[0, "a"]]);
const pause = { type: "fault", n: 1, kind: "pause", nodes: [1], keys: [] } as const;

test("a small clean run meets all gates that it was asked for", () => {
  expect(unmet(clean())).toEqual([]);
});

test("too few acknowledged sends; 10,000 is the default", () => {
  expect(unmet(clean(), { minSends: 2 })).toEqual(["acknowledged sends"]);
});

test("too few of them read, and no final pass", () => {
  expect(unmet(new Story().send(1, "k", [["a", 0]]))).toEqual(["acknowledged and read", "final pass"]);
});

test("a planned fault without a consequence", () => {
  const story = clean().line({ ...pause, at: "start", t: 1 });
  expect(unmet(story, { planned: ["pause"] })).toEqual(["faults took effect"]);
  expect(unmet(story.line({ ...pause, at: "end", t: 2, effect: "fenced" }), { planned: ["pause"] })).toEqual(
    [],
  );
});

test("leaders that were to be killed and never changed", () => {
  const kill = { ...pause, kind: "kill-leader" };
  const story = clean()
    .line({ ...kill, at: "start", t: 1 })
    .line({ ...kill, at: "end", t: 2, effect: "x" });
  const state = { type: "observe", k: "k", leader: 1, isr: [1], replicas: [1] } as const;
  story.line({ ...state, t: 0, le: 1 });
  expect(unmet(story, { planned: ["kill-leader"] })).toEqual(["leader changes"]);
  story.line({ ...state, t: 1, le: 2 });
  expect(unmet(story, { planned: ["kill-leader"] })).toEqual([]);
});

test("clients that stood still", () => {
  expect(unmet(clean().line({ type: "stall", t: 1, ms: 700 }))).toEqual(["clients ran"]);
});

test("a cluster that never gets back to its rate between faults", () => {
  const S = 1e9;
  const tell = (perSecondAfter: number): Story => {
    const story = new Story();
    let offset = 0;
    const stretch = (from: number, to: number, perSecond: number): void => {
      for (let at = from * S; at < to * S; at += S / perSecond) {
        story.send(1, "k", [[`v${offset}`, offset]], { at: [at, at + 1000] });
        offset++;
      }
    };
    stretch(0, 5, 10);
    stretch(12, 20, perSecondAfter);
    for (const [n, from, to] of [
      [1, 5, 6],
      [2, 20, 21],
    ] as const) {
      story
        .line({ ...pause, n, at: "start", t: from * S })
        .line({ ...pause, n, at: "end", t: to * S, effect: "x" });
    }
    return story.pass(
      9,
      "k",
      offset,
      Array.from({ length: offset }, (_, at) => [at, `v${at}`] as const),
    );
  };
  expect(unmet(tell(9))).toEqual([]);
  expect(unmet(tell(3))).toEqual(["quiet rate"]);
});
