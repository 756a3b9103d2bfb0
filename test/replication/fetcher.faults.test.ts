import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import type { ReadResult } from "../../src/log/log-reader.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { batchSizeOf } from "../../src/model/record-batch.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import type { ReplicaChannelHandlers } from "../../src/replication/leader-endpoint.ts";
import { decodeFollowerFrame, encodeLeaderFrame } from "../../src/replication/replica-frames.ts";
import type { FollowerPart, LeaderPartToSend, RecordsToSend } from "../../src/replication/replica-frames.ts";
import { ReplicaFetchers } from "../../src/replication/replica-fetchers.ts";
import { accepted, append, SimMachine } from "../log/engine.ts";
import { addressOf, ReplicaCluster } from "./replica-cluster.ts";
import { TestFollower } from "./test-replicas.ts";

/** A leader whose reads, once, give what `change` makes of them. */
async function spoilOnce(cluster: ReplicaCluster, change: (batches: Buffer) => Buffer): Promise<void> {
  const leader = cluster.node(0).leader();
  leader.onRead = async (from, maxBytes): Promise<ReadResult> => {
    leader.onRead = undefined;
    const read = await leader.log.read(from, maxBytes);
    if (!read.ok) return read;
    return { ...read, chunks: [change(Buffer.concat(read.chunks))] };
  };
  await cluster.append(0, ["spoilt"]);
  await cluster.scheduler.advance(50);
}

describe("bad batches", () => {
  test("are not appended; the partition is asked for again after a pause, the others go on (H42)", async () => {
    const cluster = await ReplicaCluster.start({ partitions: 2 });
    cluster.elect(0, 0);
    cluster.elect(0, 1);
    await cluster.append(0, ["good"]);
    await cluster.catchUp();
    await spoilOnce(cluster, (batches) => {
      batches[70] = (batches[70] ?? 0) ^ 1;
      return batches;
    });
    const { lines } = cluster.node(1);
    expect(lines.lines.filter(({ level }) => level === "error")).toMatchObject([
      {
        message: "batches of a leader cannot be appended",
        fields: {
          partition: 0,
          offset: 1,
          leaderEpoch: 1,
          lastEpoch: 1,
          leader: 0,
          error: "CORRUPT_MESSAGE",
        },
      },
    ]);
    await cluster.append(0, ["other"], 1);
    await cluster.scheduler.advance(20);
    expect(cluster.isCaughtUp(1)).toBe(true);
    expect(cluster.isCaughtUp(0)).toBe(false);
    expect(cluster.node(0).leader().watcherCount).toBe(0);
    await cluster.scheduler.advance(900);
    expect(cluster.node(1).log(0).logEndOffset).toBe(1);
    await cluster.catchUp(200);
    expect(await cluster.bytesOf(1)).toEqual(await cluster.bytesOf(0));
    expect(cluster.wire.opened).toBe(1);
  });

  test("with a gap are not appended", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.catchUp();
    await spoilOnce(cluster, (batches) => {
      batches[7] = 5;
      return batches;
    });
    expect(cluster.node(1).log(0).logEndOffset).toBe(0);
    expect(cluster.node(1).lines.lines.at(-1)?.fields).toMatchObject({ error: "OFFSET_OUT_OF_RANGE" });
    await cluster.catchUp(1100);
  });

  test("that a leader finds on its own disk are not sent, and both sides say so", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.catchUp();
    const leader = cluster.node(0).leader();
    leader.onRead = () => ({ ok: false, error: "CORRUPT_MESSAGE", message: "damaged at byte 7" });
    await cluster.append(0, ["a"]);
    await cluster.scheduler.advance(100);
    expect(cluster.node(0).lines.ofLevel("error")).toEqual(["a partition cannot be read for a follower"]);
    expect(cluster.node(1).lines.ofLevel("error")).toEqual(["a leader cannot read what it is to send"]);
    leader.onRead = undefined;
    await cluster.catchUp(1100);
  });
});

describe("a follower's disk", () => {
  test("that fails stops that replica for good and no other", async () => {
    const cluster = await ReplicaCluster.start({ partitions: 2 });
    cluster.elect(0, 0);
    cluster.elect(0, 1);
    await cluster.catchUp();
    cluster.node(1).disk.faults.arm({
      kind: "error",
      operations: ["sync"],
      errno: "EIO",
      path: (path) => path.includes("t-0"),
      times: Number.POSITIVE_INFINITY,
    });
    await cluster.append(0, ["a"], 0);
    await cluster.scheduler.advance(5000);
    expect(cluster.node(1).lines.ofLevel("error")).toEqual([
      "batches of a leader were not kept",
      "a replica has stopped: its log has failed",
    ]);
    await cluster.append(0, ["b"], 1);
    await cluster.scheduler.advance(20);
    expect(cluster.isCaughtUp(1)).toBe(true);
    await cluster.scheduler.runUntilIdle();
    expect(cluster.node(0).leader(0).watcherCount).toBe(0);
  });
});

/** A follower whose leader is the test. */
class Scripted {
  readonly m = new SimMachine();
  readonly sent: FollowerPart[] = [];
  handlers: ReplicaChannelHandlers | undefined;
  opened = 0;
  closed = 0;
  hasRoom = true;
  fetchers: ReplicaFetchers;
  follower: TestFollower | undefined;

  constructor(windowBytes = 8 * 1024 * 1024) {
    this.fetchers = new ReplicaFetchers(
      { windowBytes },
      {
        clock: this.m.clock,
        random: new SeededRandom(1),
        logger: silentLogger,
        identity: () => ({ nodeId: nodeId(1), brokerEpoch: 4 }),
        endpoint: {
          open: (_to, handlers) => {
            this.opened += 1;
            this.handlers = handlers;
            return {
              send: (chunks) => {
                this.sent.push(...decodeFollowerFrame(Buffer.concat(chunks)));
                return this.hasRoom;
              },
              close: () => void (this.closed += 1),
            };
          },
        },
      },
    );
  }

  /** Follows one empty log in epoch 2. */
  async begin(): Promise<TestFollower> {
    await this.m.prepare();
    this.follower = new TestFollower(0, 2, await this.m.open());
    this.fetchers.setFollowed(addressOf(0), this.follower);
    await this.m.scheduler.advance(1);
    return this.follower;
  }

  async hear(...parts: LeaderPartToSend[]): Promise<void> {
    this.handlers?.onFrame(Buffer.concat(encodeLeaderFrame(parts)));
    await this.m.scheduler.advance(1);
  }

  take(): FollowerPart[] {
    return this.sent.splice(0);
  }
}

const isSegment = (path: string): boolean => path.endsWith(".log");
const marks = { highWatermark: 0 as Offset, logStartOffset: 0 as Offset };

/** Whole batches of one record each, as a leader of epoch 2 has them. */
async function batchesOf(count: number, valueBytes = 100): Promise<Buffer[]> {
  const m = new SimMachine();
  const log = await m.open();
  const batches: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const { baseOffset, done } = accepted(append(log, [`${i}`.padEnd(valueBytes)], 2));
    await m.run(done);
    const read = await m.run(log.read(baseOffset, 1));
    if (!read.ok) throw new Error(read.message);
    batches.push(Buffer.concat(read.chunks));
  }
  return batches;
}

function withoutEpochs(batches: Buffer): Buffer {
  const copy = Buffer.from(batches);
  for (let position = 0; position < copy.length; position += batchSizeOf(copy, position)) {
    copy.writeInt32BE(0, position + 12);
  }
  return copy;
}

function records(id: number, batches: readonly Buffer[], epoch = 2): RecordsToSend {
  return { type: "records", id, leaderEpoch: epoch as LeaderEpoch, ...marks, chunks: batches };
}

describe("a stream", () => {
  test("begins with who follows, the window and the positions", async () => {
    const s = new Scripted(5000);
    await s.begin();
    const position = { leaderEpoch: 2, logEndOffset: 0, lastEpoch: -1 };
    expect(s.take()).toMatchObject([
      { type: "open", nodeId: 1, brokerEpoch: 4 },
      { type: "credit", bytes: 5000 },
      { type: "follow", items: [{ id: 1, partition: 0, ...position }] },
    ]);
  });

  test("gives credit back as batches become durable, and reports them, together", async () => {
    const s = new Scripted();
    const follower = await s.begin();
    s.take();
    const batches = await batchesOf(3);
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    s.m.disk.faults.arm({ kind: "slow", operations: ["sync"], delayMs: 20, path: isSegment });
    await s.hear(records(1, batches));
    expect(follower.logEndOffset).toBe(3);
    expect(s.take()).toEqual([{ type: "progress", items: [{ id: 1, endOffset: 0 }] }]);
    await s.m.scheduler.advance(30);
    expect(s.take()).toEqual([
      { type: "progress", items: [{ id: 1, endOffset: 3 }] },
      { type: "credit", bytes },
    ]);
  });

  test("counts what its predecessor brought and is not durable against the new window", async () => {
    const s = new Scripted(10_000);
    await s.begin();
    const [batch] = await batchesOf(1);
    if (batch === undefined) throw new Error("no batch");
    s.m.disk.faults.arm({ kind: "slow", operations: ["sync"], delayMs: 200, path: isSegment });
    await s.hear(records(1, [batch]));
    s.take();
    s.handlers?.onEnd(new Error("cut"));
    await s.m.scheduler.advance(100);
    expect(s.take()).toMatchObject([{ type: "open" }, { type: "credit", bytes: 10_000 - batch.length }]);
    await s.m.scheduler.advance(200);
    // Only now the log's end is where the next batch begins: the position goes with the rest of the window.
    expect(s.take()).toMatchObject([
      { type: "follow", items: [{ id: 1, logEndOffset: 1, lastEpoch: 2 }] },
      { type: "credit", bytes: batch.length },
    ]);
  });

  test("teaches the log the leader's high watermark also when the batches below it are not written yet", async () => {
    const s = new Scripted();
    const follower = await s.begin();
    const [batch] = await batchesOf(1);
    if (batch === undefined) throw new Error("no batch");
    await s.hear({ ...records(1, [batch]), highWatermark: 1 as Offset });
    expect(follower.highWatermark).toBe(1);
  });

  test("ignores what comes late on the stream before, whose ids are used anew", async () => {
    const s = new Scripted();
    const follower = await s.begin();
    const before = s.handlers;
    before?.onEnd(new Error("cut"));
    await s.m.scheduler.advance(100);
    expect(s.opened).toBe(2);
    before?.onFrame(Buffer.concat(encodeLeaderFrame([records(1, await batchesOf(1))])));
    before?.onEnd(new Error("again"));
    await s.m.scheduler.advance(100);
    expect([s.opened, follower.appends]).toEqual([2, 0]);
  });

  test("takes nothing under an id that was given up, and gives its credit back", async () => {
    const s = new Scripted();
    const follower = await s.begin();
    const [batch] = await batchesOf(1);
    if (batch === undefined) throw new Error("no batch");
    const refusal = { type: "refused", id: 1, error: "LEADER_NOT_AVAILABLE", message: "" } as const;
    await s.hear({ ...refusal, leaderEpoch: 2 as LeaderEpoch });
    await s.m.scheduler.advance(100);
    s.take();
    await s.hear(records(1, [batch]));
    expect(s.take()).toEqual([{ type: "credit", bytes: batch.length }]);
    expect(follower.appends).toBe(0);
    await s.hear(records(2, [batch]));
    expect(follower.appends).toBe(1);
  });

  test("appends nothing to a replica whose role has ended, though nobody has said so yet (H31)", async () => {
    const s = new Scripted();
    const follower = await s.begin();
    s.take();
    follower.isEnded = true;
    const batches = await batchesOf(1);
    await s.hear(records(1, batches));
    expect(follower.appends).toBe(0);
    expect(s.take()).toMatchObject([{ type: "unfollow", ids: [1] }, { type: "credit" }]);
  });

  test("sends nothing while its sink is full, and then the newest of everything", async () => {
    const s = new Scripted();
    await s.begin();
    const batches = await batchesOf(3);
    s.hasRoom = false;
    await s.hear({ type: "watermarks", items: [{ id: 1, ...marks }] });
    s.take();
    for (const batch of batches) await s.hear(records(1, [batch]));
    expect(s.take()).toEqual([]);
    s.hasRoom = true;
    s.handlers?.onDrain();
    await s.m.scheduler.advance(1);
    expect(s.take()).toMatchObject([
      { type: "progress", items: [{ id: 1, endOffset: 3 }] },
      { type: "credit" },
    ]);
  });

  test("keeps small batches apart from the frame they came in", async () => {
    const s = new Scripted();
    const follower = await s.begin();
    const kept: Buffer[] = [];
    const take = follower.append.bind(follower);
    follower.append = (batches, gaps) => {
      kept.push(batches);
      return take(batches, gaps);
    };
    const [small, large] = [await batchesOf(1), (await batchesOf(2, 5000)).slice(1)];
    const frame = Buffer.concat(encodeLeaderFrame([records(1, small), records(1, large)]));
    s.handlers?.onFrame(frame);
    await s.m.scheduler.advance(1);
    expect(kept.map((batches) => batches.buffer === frame.buffer)).toEqual([false, true]);
    expect(follower.logEndOffset).toBe(2);
  });

  test("ends over a frame that is none, and another one is opened", async () => {
    for (const bad of [
      Buffer.of(1, 99),
      Buffer.of(),
      Buffer.concat(encodeLeaderFrame([records(1, [], 1)])),
    ]) {
      const s = new Scripted();
      const follower = await s.begin();
      s.handlers?.onFrame(bad);
      await s.m.scheduler.advance(100);
      expect([s.opened, s.closed, follower.appends]).toEqual([2, 1, 0]);
    }
  });

  test("hears anything at all: it goes on or begins anew, and the log stays whole", async () => {
    const batches = await batchesOf(2);
    const frame = Buffer.concat(
      encodeLeaderFrame([records(1, batches), { type: "watermarks", items: [{ id: 1, ...marks }] }]),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(frame.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        fc.uint8Array({ maxLength: 40 }),
        async (changes, noise) => {
          const s = new Scripted();
          const follower = await s.begin();
          const changed = Buffer.from(frame);
          for (const [at, value] of changes) changed[at] = value;
          s.handlers?.onFrame(changed);
          await s.m.scheduler.advance(5);
          s.handlers?.onFrame(Buffer.of(1, ...noise));
          await s.m.scheduler.advance(5000);
          const log = follower.log;
          const read = await s.m.run(log.read(log.logStartOffset, 1_000_000));
          if (!read.ok) throw new Error(read.message);
          // The epoch stands outside the checksum; everything else is as the leader had it.
          const taken = Buffer.concat(read.chunks.map((chunk) => withoutEpochs(chunk)));
          const whole = withoutEpochs(Buffer.concat(batches));
          expect(whole.subarray(0, taken.length).equals(taken)).toBe(true);
          expect(log.state).toBe("open");
          expect(s.opened).toBeGreaterThan(0);
        },
      ),
      { numRuns: 80 },
    );
  });
});
