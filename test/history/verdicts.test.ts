import { describe, expect, test } from "vitest";
import { ANOMALIES } from "../../src/history/findings.ts";
import { ruleOf, violationsOf } from "../../src/history/verdicts.ts";

const count = { total: 5, excused: 2, examples: [] };

describe("what a profile allows", () => {
  test("acks=all without idempotence: duplicates and disorder that a retry explains", () => {
    const other = ANOMALIES.filter((kind) => ruleOf("plain", kind) !== ruleOf("idempotent", kind));
    expect(other).toEqual(["duplicate", "int-nonmonotonic-send", "nonmonotonic-send", "session-gap"]);
  });

  test("acks=1: what a leader takes with it, besides", () => {
    const other = ANOMALIES.filter((kind) => ruleOf("plain-acks-1", kind) !== ruleOf("plain", kind));
    expect(other).toEqual([
      "lost-write",
      "vanished",
      "poll-skip",
      "nonmonotonic-poll",
      "realtime-inversion",
      "end-offset-regression",
    ]);
  });

  test.each([
    "corrupt-record",
    "misrouted-record",
    "inconsistent-offsets",
    "aborted-read",
    "replica-divergence",
  ] as const)("%s is allowed to nobody", (kind) => {
    for (const profile of ["plain", "plain-acks-1", "idempotent"] as const) {
      expect(violationsOf(profile, kind, count)).toBe(5);
    }
  });

  test("excused ones are taken off where a rule says so, and nowhere else", () => {
    expect(violationsOf("plain", "duplicate", count)).toBe(3);
    expect(violationsOf("idempotent", "duplicate", count)).toBe(5);
    expect(violationsOf("plain-acks-1", "vanished", count)).toBe(0);
  });
});
