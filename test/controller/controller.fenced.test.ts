import { expect, test } from "vitest";
import { ControllerBench, SESSION_MS } from "./controller-bench.ts";

test("a fenced broker is let in again when it knows that it was fenced (H31)", async () => {
  const { bench, brokers } = await ControllerBench.of(3);
  const first = brokers[0]!;
  const before = bench.log.committedOffset;
  first.fallSilent();
  await bench.advance(SESSION_MS + 1);
  expect(bench.fencedIds()).toEqual([1]);
  first.health = { metadataOffset: before };
  first.connect();
  await bench.advance(2 * SESSION_MS);
  expect(first.last).toEqual({ type: "state", isFenced: true, mayShutDown: false });
  bench.failOver();
  first.connect();
  await bench.advance(2);
  expect(first.last).toEqual({ type: "state", isFenced: true, mayShutDown: false });
  first.health = {};
  first.beat();
  await bench.advance(2);
  expect(first.last).toEqual({ type: "state", isFenced: false, mayShutDown: false });
});
