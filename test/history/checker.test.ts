import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkHistory } from "../../src/history/checker.ts";
import type { HistoryLine } from "../../src/history/history-line.ts";
import { History } from "../../src/history/history.ts";
import { formatHistoryLine } from "../../src/history/parse-line.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { LegalHistory } from "./legal-history.ts";
import { Story } from "./story.ts";

function check(lines: readonly HistoryLine[]): ReturnType<typeof checkHistory> {
  const history = new History();
  for (const line of lines) history.add(line);
  return checkHistory(history);
}

describe("histories that a correct cluster could have led to", () => {
  test("are never found guilty, in 1,000 of them", () => {
    let reads = 0;
    let unknown = 0;
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 20, max: 300 }), (seed, steps) => {
        const { lines } = new LegalHistory(new SeededRandom(seed), steps);
        const { anomalies, verdict, availability } = check(lines);
        expect(anomalies.filter(({ kind }) => kind !== "int-send-skip")).toEqual([]);
        expect(verdict).not.toBe("violation");
        reads += lines.length;
        unknown += availability.unknown;
      }),
      { numRuns: 1000 },
    );
    // The generator is worth something only if it makes what could be mistaken for a fault.
    expect(reads).toBeGreaterThan(50_000);
    expect(unknown).toBeGreaterThan(1000);
  });

  test("are found guilty as soon as a final pass lacks one record that others were given", () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(), (seed, pick) => {
        const { lines } = new LegalHistory(new SeededRandom(seed), 300);
        expect(check(withoutOne(lines, pick)).verdict).toBe("violation");
      }),
      { numRuns: 50 },
    );
  });
});

/** The same history, in whose last poll one record is missing. */
function withoutOne(lines: readonly HistoryLine[], pick: number): HistoryLine[] {
  const last = lines.findLast((line) => line.type === "ok" && line.f === "poll");
  return lines.map((line): HistoryLine => {
    if (line !== last || line.type !== "ok") return line;
    const mops = (line.mops ?? []).map((mop) => {
      if (mop[0] !== "poll" || mop[1] === undefined) return mop;
      const records = Object.entries(mop[1]).map(([key, all]) => [key, all.toSpliced(pick % all.length, 1)]);
      return ["poll", Object.fromEntries(records)] as const;
    });
    return { ...line, mops };
  });
}

describe("the verdict", () => {
  test("a clean history that shows too little is void", () => {
    const story = new Story().send(1, "k", [["a", 0]]);
    expect(story.report.verdict).toBe("violation");
    expect(story.pass(9, "k", 1, [[0, "a"]]).report.verdict).toBe("ok");
    story.lines[0] = { type: "run", run: "r", profile: "idempotent" };
    expect(story.report.verdict).toBe("void");
  });

  test("the profile may be given, against what the run line says", () => {
    const story = new Story("plain").send(1, "k", [["a", -1]], { outcome: "info" });
    story.poll(2, "k", [[0, "a"]]).poll(2, "k", [[1, "a"]]);
    const history = new History();
    for (const line of story.lines) history.add(line);
    expect(checkHistory(history, { profile: "idempotent" }).anomalies[0]?.violations).toBe(1);
    expect(checkHistory(history).anomalies[0]?.violations).toBe(0);
  });

  test("only the first occurrences are told in words", () => {
    const story = new Story();
    for (let value = 0; value < 9; value++) story.poll(2, "k", [[value, `v${value}`]]);
    const [row] = story.report.anomalies;
    expect(row).toMatchObject({ kind: "future-read", count: 9, violations: 9 });
    expect(row?.examples).toHaveLength(5);
  });
});

test("120,000 operations are parsed and judged", () => {
  const total = 40_000;
  const history = new History();
  const place = { file: "big", line: 1 };
  const add = (line: HistoryLine): void => history.addText(formatHistoryLine(line), place);
  const ends = new Map<string, number>();
  for (let i = 0; i < total; i++) {
    const k = `k-${i % 8}`;
    const offset = ends.get(k) ?? 0;
    ends.set(k, offset + 1);
    const value = `r.${i % 4}.${i}`;
    add({ type: "invoke", i, p: i % 4, f: "send", t: i * 1000, mops: [["send", k, value]] });
    add({ type: "ok", i, p: i % 4, f: "send", t: i * 1000 + 900, mops: [["send", k, offset, value]] });
    for (let p = 10; p < 12; p++) {
      add({ type: "invoke", i, p, f: "poll", t: i * 1000 + 901, mops: [["poll"]] });
      add({
        type: "ok",
        i,
        p,
        f: "poll",
        t: i * 1000 + 950,
        mops: [["poll", { [k]: [[offset, value, 0]] }]],
      });
    }
  }
  for (const [k, end] of ends) {
    add({ type: "final", t: 1, p: 10, k, start: 0, end, since: total * 1000, reached: end });
  }
  const report = checkHistory(history);
  expect(report.anomalies).toEqual([]);
  expect(report.availability.acknowledged).toBe(total);
});
