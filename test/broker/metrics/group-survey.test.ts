import { expect, test } from "vitest";
import { surveyGroups } from "../../../src/broker/metrics/group-survey.ts";
import type { GroupSurveyDeps } from "../../../src/broker/metrics/group-survey.ts";
import { sumsByTopic } from "../../../src/broker/metrics/group-metrics.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import { nodeId } from "../../../src/model/ids.ts";

const SIGNAL = new AbortController().signal;

/** Groups g0, g1, … that have committed offset 2 of both partitions of "t"; broker 1 is in sync with the first only. */
function depsOf(count: number, gone: string = ""): GroupSurveyDeps & { readonly asked: string[] } {
  const asked: string[] = [];
  const isr = [[1, 2], [2]];
  const image = {
    topic: () => ({ partitions: isr.map((ids) => ({ isr: ids.map((id) => nodeId(id)) })) }),
  } as unknown as MetadataImage;
  const groups = {
    listGroups: () =>
      Promise.resolve({
        error: "NONE",
        errorMessage: "",
        groups: Array.from({ length: count }, (_, at) => ({ groupId: `g${at}`, state: "Empty" })),
      }),
    describeGroups: ([groupId = ""]: readonly string[]) => {
      asked.push(groupId);
      const error = groupId === gone ? "NOT_COORDINATOR" : "NONE";
      return Promise.resolve([{ error, groupId, state: "Empty", epoch: 3, members: [] }]);
    },
    fetchOffsets: () =>
      Promise.resolve({
        error: "NONE",
        partitions: [
          { topic: "t", partition: 0, error: "NONE", offset: 2 },
          { topic: "t", partition: 1, error: "NONE", offset: 2 },
          { topic: "t", partition: 2, error: "NONE", offset: -1 },
        ],
      }),
  } as unknown as GroupSurveyDeps["groups"];
  const table = { committedEndOf: () => undefined } as unknown as GroupSurveyDeps["table"];
  const logs = { ends: () => ({ logStartOffset: 0, logEndOffset: 7 }) } as unknown as GroupSurveyDeps["logs"];
  return { nodeId: nodeId(1), image, groups, table, logs, asked };
}

test("a lag is told where this broker is in sync, and left out where it may not know the end", async () => {
  const { groups } = await surveyGroups(depsOf(1), SIGNAL);
  expect(groups).toEqual([
    {
      groupId: "g0",
      state: "Empty",
      epoch: 3,
      members: 0,
      offsets: [
        { topic: "t", partition: 0, offset: 2, lag: 5 },
        { topic: "t", partition: 1, offset: 2, lag: undefined },
      ],
    },
  ]);
  // A sum without one of its parts would be too small.
  expect([...sumsByTopic(groups[0]?.offsets ?? [])]).toEqual([["t", { offset: 4, lag: undefined }]]);
});

test("a group that moves away while it is asked for is left out", async () => {
  const { groups, listings } = await surveyGroups(depsOf(3, "g1"), SIGNAL);
  expect(groups.map(({ groupId }) => groupId)).toEqual(["g0", "g2"]);
  expect(listings).toHaveLength(3);
});

test("past 5,000 groups the rest is counted and not asked", async () => {
  const deps = depsOf(5100);
  const { groups, listings } = await surveyGroups(deps, SIGNAL);
  expect([groups.length, deps.asked.length, listings.length]).toEqual([5000, 5000, 5100]);
});
