import type { AnomalyCount, AnomalyKind } from "./findings.ts";
import type { Profile } from "./history-line.ts";

/**
 * What an anomaly means for a profile. "violation"; "counted": reported only; "allowed"; "unless-excused": a violation
 * unless a retry or an unknown outcome (or, for loss with acks=1, a leader change) explains it.
 */
export type Rule = "violation" | "counted" | "allowed" | "unless-excused";

type Rules = Readonly<Record<AnomalyKind, Rule>>;

const IDEMPOTENT: Rules = {
  "corrupt-record": "violation",
  "misrouted-record": "violation",
  "inconsistent-offsets": "violation",
  duplicate: "violation",
  "lost-write": "violation",
  vanished: "violation",
  unseen: "violation",
  "aborted-read": "violation",
  "future-read": "violation",
  "int-poll-skip": "violation",
  "int-nonmonotonic-poll": "violation",
  "poll-skip": "violation",
  "nonmonotonic-poll": "violation",
  "poll-skip-subscribed": "counted",
  "nonmonotonic-poll-subscribed": "counted",
  "int-nonmonotonic-send": "violation",
  "nonmonotonic-send": "violation",
  "int-send-skip": "allowed",
  "session-gap": "violation",
  "realtime-inversion": "violation",
  "end-offset-regression": "violation",
  "epoch-regression": "violation",
  "lost-commit": "violation",
  "phantom-commit": "violation",
  "commit-regress": "violation",
  "zero-offset": "violation",
  "stale-generation-commit": "violation",
  "double-assignment": "violation",
  "lost-processing": "violation",
  "stale-lag": "counted",
  "metadata-inversion": "violation",
  "replica-divergence": "violation",
  "invariant-break": "violation",
};

const PLAIN: Rules = {
  ...IDEMPOTENT,
  duplicate: "unless-excused",
  "int-nonmonotonic-send": "unless-excused",
  "nonmonotonic-send": "unless-excused",
  "session-gap": "allowed",
};

const RULES: Readonly<Record<Profile, Rules>> = {
  idempotent: IDEMPOTENT,
  plain: PLAIN,
  "plain-acks-1": {
    ...PLAIN,
    "lost-write": "unless-excused",
    vanished: "counted",
    "poll-skip": "counted",
    "nonmonotonic-poll": "counted",
    "realtime-inversion": "counted",
    "end-offset-regression": "counted",
  },
};

export function ruleOf(profile: Profile, kind: AnomalyKind): Rule {
  return RULES[profile][kind];
}

/** Occurrences that are violations under a profile. */
export function violationsOf(profile: Profile, kind: AnomalyKind, { total, excused }: AnomalyCount): number {
  switch (ruleOf(profile, kind)) {
    case "violation":
      return total;
    case "unless-excused":
      return total - excused;
    case "counted":
    case "allowed":
      return 0;
  }
}
