import { status } from "@grpc/grpc-js";
import type { handleUnaryCall, sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { RequestMeter } from "../../../src/broker/request-meter.ts";
import { metered } from "../../../src/server/grpc/metered.ts";
import { Scheduler } from "../../../src/sim/scheduler.ts";
import { SimClock } from "../../../src/sim/sim-clock.ts";

type Unary = handleUnaryCall<unknown, unknown>;

const CALL = {} as ServerUnaryCall<unknown, unknown>;

test("calls are counted by their status when they are answered, streams and named ones are left alone", () => {
  const requests = new RequestMeter();
  const clock = new SimClock({}, { scheduler: new Scheduler() });
  let answer: sendUnaryData<unknown> = () => undefined;
  const held: Unary = (_call, callback) => (answer = callback);
  const stream = (_call: unknown): void => undefined;
  const methods = metered(
    { Held: held, Stream: stream, Other: held },
    { requests, clock },
    new Set(["Other"]),
  );
  expect(methods["Stream"]).toBe(stream);
  expect(methods["Other"]).toBe(held);

  const answers: unknown[] = [];
  const call = methods["Held"] as Unary;
  call(CALL, (...parts) => answers.push(parts));
  expect([...requests.counts()]).toEqual([]);
  answer(null, "value");
  call(CALL, (...parts) => answers.push(parts));
  answer({ code: status.UNAVAILABLE, details: "gone" }, null);
  expect(answers).toEqual([
    [null, "value"],
    [{ code: status.UNAVAILABLE, details: "gone" }, null],
  ]);
  expect([...requests.counts()]).toEqual([
    { api: "Held", code: "NONE", count: 1 },
    { api: "Held", code: "UNAVAILABLE", count: 1 },
  ]);
  expect([...requests.durations()].map(({ phase, reading }) => [phase, reading.count])).toEqual([
    ["total", 2],
  ]);
});
