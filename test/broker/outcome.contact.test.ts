import { beforeEach, expect, test } from "vitest";
import type { FetchedPartition } from "../../src/broker/fetched-partition.ts";
import type { FetchSession } from "../../src/broker/fetch-session.ts";
import { FetchHandler } from "../../src/broker/handlers/fetch.ts";
import { OffsetsHandler } from "../../src/broker/handlers/offsets.ts";
import { batchOf } from "./fake-logs.ts";
import { HostedTopics, NODE } from "./hosted-topics.ts";

const POSITION = { partition: 0, offset: 1, leaderEpoch: -1, generation: 0 };

let hosted: HostedTopics;
let fetch: FetchHandler;
let offsets: OffsetsHandler;
let sent: FetchedPartition[];
let session: FetchSession;

beforeEach(async () => {
  hosted = new HostedTopics();
  // Led here, and the other broker is a replica too, or is none.
  hosted.create("shared", 1, { replicas: [1, 2], isr: [1] });
  hosted.create("own", 1);
  for (const topic of ["shared", "own"]) {
    hosted.logs.at(topic, 0).append(batchOf("x"), { leaderEpoch: 0 as never });
  }
  const options = { nodeId: NODE };
  fetch = new FetchHandler(options, { table: hosted.table, clock: hosted.clock });
  offsets = new OffsetsHandler(options, { table: hosted.table });
  sent = [];
  session = fetch.openSession(
    { maxMessageBytes: 0, minBytes: 0, maxWaitMs: 0, readCommitted: false },
    {
      send: (partitions) => {
        sent.push(...partitions);
        return true;
      },
    },
  );
  session.grant(1 << 20);
  session.add(["shared", "own"].map((topic) => ({ topic, ...POSITION })));
  await hosted.settle();
  sent = [];
});

function lose(): void {
  hosted.isContactLost = true;
  hosted.table.contactLost();
}

function errorsOf(items: readonly FetchedPartition[]): string[][] {
  return items.map(({ topic, error }) => [topic, error]);
}

function poll(topic: string, offset: number): Promise<readonly FetchedPartition[]> {
  const partitions = [{ topic, ...POSITION, offset, maxBytes: 1000 }];
  const call = { maxWaitMs: 10_000, minBytes: 1, maxBytes: 1000, readCommitted: false, partitions };
  return fetch.fetch(call, new AbortController().signal);
}

test("a push session is told in the moment that the contact is lost, and keeps what no other broker has", async () => {
  lose();
  await hosted.settle();
  expect(errorsOf(sent)).toEqual([["shared", "NOT_LEADER_OR_FOLLOWER"]]);
  expect(sent[0]?.errorMessage).toContain("has lost its controller");
  hosted.logs.at("own", 0).append(batchOf("y"), { leaderEpoch: 0 as never });
  await hosted.settle();
  expect(errorsOf(sent).slice(1)).toEqual([["own", "NONE"]]);
});

test("a long poll ends in that moment with the error", async () => {
  const polled = poll("shared", 1);
  await hosted.scheduler.advance(1000);
  lose();
  expect(errorsOf(await hosted.scheduler.settle(polled, 1))).toEqual([["shared", "NOT_LEADER_OR_FOLLOWER"]]);
});

test("reads, offsets and deletions of what others have too are refused until the contact is back", async () => {
  const item = { topic: "shared", partition: 0 };
  const outcomes = async (): Promise<string[]> => {
    session.add([{ ...POSITION, ...item }]);
    const results = [
      await poll("shared", 0),
      await offsets.listOffsets([{ ...item, timestampMs: -1 }]),
      await offsets.deleteRecords([{ ...item, beforeOffset: 0 }]),
    ].flat();
    await hosted.settle();
    return [...results, ...sent.splice(0)].map(({ error }) => error);
  };
  hosted.isContactLost = true;
  expect(await outcomes()).toEqual(Array.from({ length: 4 }, () => "NOT_LEADER_OR_FOLLOWER"));
  hosted.isContactLost = false;
  expect(await outcomes()).toEqual(Array.from({ length: 4 }, () => "NONE"));
});

test("a session that is full of idle partitions of this broker alone hears nothing", async () => {
  session.remove([{ topic: "shared", partition: 0 }]);
  lose();
  await hosted.settle();
  expect(sent).toEqual([]);
});
