import { expect, test } from "vitest";
import { TopicTraffic } from "../../src/broker/topic-traffic.ts";

test("both directions add up, and a batch that begins before the offset asked for is bytes alone", () => {
  const traffic = new TopicTraffic();
  traffic.received(3, 100);
  traffic.received(1, 70);
  traffic.sent(2, 100);
  traffic.sent(0, 70);
  expect(traffic).toMatchObject({ recordsIn: 4, bytesIn: 170, recordsOut: 2, bytesOut: 170 });
});
