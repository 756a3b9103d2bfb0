import { expect, test } from "vitest";
import { silentLogger, type LogFields } from "../../src/base/logger.ts";
import { reportChange } from "../../src/controller/change-report.ts";
import { nodeId } from "../../src/model/ids.ts";
import { ControllerBench } from "./controller-bench.ts";

async function lineOf(
  request: Parameters<typeof reportChange>[2],
  isDone: (index: number) => boolean = () => true,
): Promise<readonly [string, LogFields | undefined] | undefined> {
  const { bench } = await ControllerBench.of(1);
  let line: readonly [string, LogFields | undefined] | undefined;
  const info = (message: string, fields?: LogFields): void => {
    line = [message, fields];
  };
  reportChange({ ...silentLogger, info }, bench.committed, request, isDone);
  return line;
}

test("a line names what was carried out, and not what was refused", async () => {
  const names = ["a", "b", "c"];
  expect(await lineOf({ type: "deleteTopics", names }, (index) => index !== 1)).toEqual([
    "topics were deleted",
    { count: 2, names: ["a", "c"] },
  ]);
});

test("a line about many things names some and counts all", async () => {
  const names = Array.from({ length: 500 }, (_, index) => `topic-${index}`);
  const line = await lineOf({ type: "deleteTopics", names });
  expect(line?.[1]).toMatchObject({ count: 500, names: names.slice(0, 10) });
});

test("a change of a configuration names the keys and not the values", async () => {
  const set = new Map([["retention.ms", "1000"]]);
  const request = {
    type: "alterConfigs",
    name: "a",
    set,
    unset: ["segment.ms"],
    validateOnly: false,
  } as const;
  expect(await lineOf(request)).toEqual([
    "the configuration of a topic was changed",
    { topic: "a", keys: ["retention.ms", "segment.ms"] },
  ]);
});

test("broker ids of others are told as such: nodeId is whose log it is", async () => {
  const line = await lineOf({ type: "drainBroker", nodeId: nodeId(2), isDrained: true });
  expect(line).toEqual(["a broker was drained", { brokerId: 2 }]);
});
