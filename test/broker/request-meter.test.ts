import { expect, test } from "vitest";
import { RequestMeter } from "../../src/broker/request-meter.ts";

test("answers are counted by api and code, times by api and phase", () => {
  const meter = new RequestMeter();
  meter.count("Produce", "NONE");
  meter.count("Produce", "NONE");
  meter.count("Produce", "NOT_ENOUGH_REPLICAS");
  meter.count("Metadata", "NONE");
  meter.observe("Produce", "local", 2);
  meter.observe("Produce", "total", 3);
  meter.observe("Produce", "total", 7);
  expect([...meter.counts()]).toEqual([
    { api: "Produce", code: "NONE", count: 2 },
    { api: "Produce", code: "NOT_ENOUGH_REPLICAS", count: 1 },
    { api: "Metadata", code: "NONE", count: 1 },
  ]);
  expect([...meter.durations()].map(({ api, phase, reading }) => [api, phase, reading.count])).toEqual([
    ["Produce", "local", 1],
    ["Produce", "total", 2],
  ]);
});
