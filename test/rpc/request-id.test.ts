import { expect, test } from "vitest";
import {
  isRequestId,
  REQUEST_ID_KEY,
  RequestIds,
  requestIdOf,
  withRequestId,
} from "../../src/rpc/request-id.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";

test("ids of one maker count up behind its prefix, and two clients have two prefixes", () => {
  const random = new SeededRandom(1);
  const [first, second] = [RequestIds.ofClient(random), RequestIds.ofClient(random)];
  const [one, two, other] = [first.next(), first.next(), second.next()];
  expect(one).toMatch(/^[0-9a-f]{8}-1$/);
  expect(two).toBe(one.replace(/1$/, "2"));
  expect(other.slice(0, 8)).not.toBe(one.slice(0, 8));
  expect(isRequestId(one)).toBe(true);
});

test("an id of a server says so", () => {
  const ids = RequestIds.ofServer(new SimClock({}, { scheduler: new Scheduler() }));
  const id = ids.next();
  expect(id).toMatch(/^broker-[0-9a-z]+-1$/);
  expect(isRequestId(id)).toBe(true);
});

test.each(["a", "7f3a-12", "order.service:4711_x", "A".repeat(64)])("%s is taken over", (id) => {
  const metadata = new Map([[REQUEST_ID_KEY, id]]);
  expect(withRequestId(metadata, new RequestIds("p"))).toBe(metadata);
  expect(requestIdOf({ metadata })).toBe(id);
});

test.each(["", "-x", "two words", "line\nbreak", "a,b", "é", "A".repeat(65), '"quoted"'])(
  "%j is replaced, and the rest stays",
  (id) => {
    const metadata = new Map([
      ["lograft-client-id", "shop"],
      [REQUEST_ID_KEY, id],
    ]);
    const named = withRequestId(metadata, new RequestIds("p"));
    expect([...named]).toEqual([
      ["lograft-client-id", "shop"],
      [REQUEST_ID_KEY, "p-1"],
    ]);
  },
);

test("a call without an id gets one", () => {
  const metadata = withRequestId(new Map(), new RequestIds("p"));
  expect(requestIdOf({ metadata })).toBe("p-1");
  expect(requestIdOf({ metadata: new Map() })).toBe("");
});
