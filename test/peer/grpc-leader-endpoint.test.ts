import { afterEach, describe, expect, test } from "vitest";

import { leaderEndpointContract, openReplica, RecordedChannel } from "../contract/leader-endpoint.ts";
import type { LaneName } from "../rpc/stream/lane-harness.ts";
import { startLeader, type WiredLeader } from "./leader-harness.ts";
import { clock } from "./peer-harness.ts";

const LANES: readonly LaneName[] = ["direct", "grpc-js"];
const MIB = 1024 * 1024;

for (const client of LANES) {
  for (const server of LANES) {
    leaderEndpointContract(`the ${client} client at the ${server} server`, () =>
      startLeader({ client, server }),
    );
  }
}

describe("the gRPC leader endpoint", () => {
  const leaders: WiredLeader[] = [];
  afterEach(async () => {
    await Promise.all(leaders.splice(0).map((leader) => leader.close()));
  });

  async function start(server: LaneName = "direct"): Promise<WiredLeader> {
    const leader = await startLeader({ client: "direct", server });
    leaders.push(leader);
    return leader;
  }

  test("each stream has a connection of its own, which ends with it", async () => {
    const wired = await start();
    const first = await openReplica(wired);
    await openReplica(wired);
    expect(wired.connectionCount).toBe(2);
    first.follower.channel.close();
    await wired.leader.until(() => first.accepted.ends === 1);
    while (wired.connectionCount > 1) await clock.sleep(1);
    expect(wired.leader.replicas.map(({ ends }) => ends)).toEqual([1, 0]);
  });

  test("to where nobody listens, the end says that it was refused", async () => {
    const wired = await start();
    await wired.kill();
    const follower = new RecordedChannel(wired.endpoint, wired.address);
    await follower.until(() => follower.ends.length > 0);
    expect(follower.ends).toMatchObject([{ context: { isRefused: true } }]);
  });

  test("an address that is none ends the stream, and not at all when it was closed first", async () => {
    const wired = await start();
    const nowhere = { ...wired.address, endpoint: "nowhere" };
    const closed = new RecordedChannel(wired.endpoint, nowhere);
    closed.channel.close();
    const follower = new RecordedChannel(wired.endpoint, nowhere);
    expect(follower.channel.send([Buffer.from("lost")])).toBe(false);
    expect(follower.ends).toEqual([]);
    await follower.until(() => follower.ends.length > 0);
    expect(follower.ends).toMatchObject([{ code: "INVALID_ARGUMENT" }]);
    expect(closed.ends).toEqual([]);
  });

  test("a connection that is cut ends the stream on both sides at once", async () => {
    const wired = await start();
    const { follower, accepted } = await openReplica(wired);
    wired.proxy.cut();
    await follower.until(() => follower.ends.length > 0);
    await wired.leader.until(() => accepted.ends > 0);
    expect(follower.ends).toMatchObject([{ code: "CONNECTION_FAILED", retriable: true }]);
  });

  test("a peer that stands still without a word is noticed on both sides, and lanes, within about three seconds", async () => {
    const check = async (server: LaneName): Promise<void> => {
      const wired = await start(server);
      const { follower, accepted } = await openReplica(wired);
      const frozenMs = clock.monotonicMs();
      wired.proxy.freeze();
      await follower.until(() => follower.ends.length > 0);
      await wired.leader.until(() => accepted.ends > 0);
      expect(clock.monotonicMs() - frozenMs, server).toBeLessThan(4500);
      expect(follower.ends).toMatchObject([{ code: "CONNECTION_FAILED", retriable: true }]);
      // grpc-js waits for ever for a session that is destroyed and not yet closed when its server is shut down.
      while (wired.connectionCount > 0) await clock.sleep(1);
    };
    await Promise.all(LANES.map(check));
  });

  test("bulk data does not starve the pings: a stream that is busy for longer than the timeout lives on", async () => {
    const wired = await start();
    const { follower, accepted } = await openReplica(wired);
    const batches = Array.from({ length: 16 }, () => Buffer.alloc(MIB / 16));
    const untilMs = clock.monotonicMs() + 3500;
    const fill = (): void => {
      while (clock.monotonicMs() < untilMs) if (!accepted.stream.send(batches)) return;
      accepted.stream.send([Buffer.from("last")]);
    };
    wired.leader.onReplicaDrain = fill;
    fill();
    // The frames are let go of, as a follower does; what is kept is the last.
    follower.onFrame = () => {
      if (follower.frames.length > 1) follower.frames.shift();
    };
    await follower.until(() => follower.ends.length > 0 || String(follower.frames.at(-1)) === "last");
    expect(follower.ends).toEqual([]);
  });

  test.each(LANES)(
    "a leader that sends on to a follower that does not read cuts the stream when too much waits (%s server)",
    async (server) => {
      const wired = await start(server);
      const { accepted } = await openReplica(wired);
      wired.proxy.freeze();
      let sent = 0;
      while (accepted.ends === 0 && sent < 100) {
        accepted.stream.send([Buffer.alloc(MIB)]);
        sent += 1;
      }
      expect(accepted.ends).toBe(1);
      expect(sent).toBeLessThan(40);
    },
  );

  test("a follower that sends on to a leader that does not read gives up when too much waits", async () => {
    const wired = await start();
    const { follower } = await openReplica(wired);
    wired.proxy.freeze();
    for (let sent = 0; sent < 40; sent++) follower.channel.send([Buffer.alloc(MIB)]);
    await follower.until(() => follower.ends.length > 0);
    expect(follower.ends).toMatchObject([{ code: "BUFFER_EXHAUSTED" }]);
  });

  test("a leader that stops ends its streams with a reason, and takes no new ones", async () => {
    const wired = await start();
    const { follower, accepted } = await openReplica(wired);
    wired.drain();
    await follower.until(() => follower.ends.length > 0);
    expect(follower.ends).toMatchObject([{ code: "CLOSED", retriable: true }]);
    await wired.leader.until(() => accepted.ends > 0);
    const late = new RecordedChannel(wired.endpoint, wired.address);
    await late.until(() => late.ends.length > 0);
    expect(late.ends).toMatchObject([{ code: "CLOSED", retriable: true }]);
    expect(wired.leader.replicas).toHaveLength(1);
  });
});
