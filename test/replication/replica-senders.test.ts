import { expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import type { AcceptedReplica, ReplicaInput } from "../../src/replication/leader-endpoint.ts";
import { encodeFollowerFrame } from "../../src/replication/replica-frames.ts";
import { ReplicaSenders } from "../../src/replication/replica-senders.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

class Sink implements AcceptedReplica {
  readonly ends: (string | undefined)[] = [];

  send(): boolean {
    return true;
  }

  close(error?: { readonly code: string }): void {
    this.ends.push(error?.code);
  }
}

function senders(): ReplicaSenders {
  const clock = new SimClock({}, { scheduler: new Scheduler() });
  const refusal = { type: "refused", error: "NOT_LEADER_OR_FOLLOWER", message: "" } as const;
  const replicas = { find: () => Promise.resolve({ ...refusal, leaderEpoch: -1 as LeaderEpoch }) };
  return new ReplicaSenders({}, { clock, logger: silentLogger, replicas });
}

function open(input: ReplicaInput, node: number, brokerEpoch: number): void {
  input.onFrame(encodeFollowerFrame([{ type: "open", nodeId: nodeId(node), brokerEpoch }]));
}

test("a follower's newer stream ends the one before, other followers keep theirs", () => {
  const all = senders();
  const sinks = [new Sink(), new Sink(), new Sink()];
  const [first, second, other] = sinks.map((sink) => all.accept(sink));
  if (first === undefined || second === undefined || other === undefined) throw new Error("no stream");
  open(first, 1, 5);
  open(other, 2, 1);
  open(second, 1, 6);
  expect(sinks.map(({ ends }) => ends)).toEqual([["CLOSED"], [], []]);
});

test("a stream of an earlier registration of the broker does not take the place of a later one's (H22)", () => {
  const all = senders();
  const sinks = [new Sink(), new Sink()];
  const [present, late] = sinks.map((sink) => all.accept(sink));
  if (present === undefined || late === undefined) throw new Error("no stream");
  open(present, 1, 6);
  expect(() => open(late, 1, 5)).toThrow(expect.objectContaining({ code: "STALE_BROKER_EPOCH" }));
  expect(sinks[0]?.ends).toEqual([]);
  present.onEnd();
  const again = all.accept(new Sink());
  open(again, 1, 5);
});

test("all streams end with this broker, and no other begins", () => {
  const all = senders();
  const [before, after] = [new Sink(), new Sink()];
  open(all.accept(before), 1, 5);
  all.close();
  all.accept(after);
  all.close();
  expect([before.ends, after.ends]).toEqual([["CLOSED"], ["CLOSED"]]);
});
