import { expect, test } from "vitest";
import { Story } from "./story.ts";

const replica = { type: "replica", t: 1, k: "k", start: 0, end: 9 } as const;

test("replica-divergence: two replicas with other bytes in the same range", () => {
  const story = new Story()
    .line({ ...replica, node: 1, digest: "x" })
    .line({ ...replica, node: 2, digest: "y" });
  expect(story.anomalies()).toEqual({ "replica-divergence": 1 });
});

test("replicas with the same bytes, or compared over other ranges, agree", () => {
  const story = new Story()
    .line({ ...replica, node: 1, digest: "x" })
    .line({ ...replica, node: 2, digest: "x" });
  story.line({ ...replica, node: 3, end: 8, digest: "y" });
  expect(story.anomalies()).toEqual({});
});

test("invariant-break: a process that ended by itself", () => {
  const story = new Story().line({ type: "broken", t: 1, what: "exit 70", node: 2 });
  expect(story.anomalies()).toEqual({ "invariant-break": 1 });
  expect(story.report.anomalies[0]?.examples).toEqual(["node 2: exit 70"]);
});
