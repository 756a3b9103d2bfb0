import { writeFile } from "node:fs/promises";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";

import { Deferred } from "../src/base/deferred.ts";
import { silentLogger } from "../src/base/logger.ts";
import type { PeerEndpoint } from "../src/broker/peer-endpoint.ts";
import { nodeId } from "../src/model/ids.ts";
import { GrpcLeaderEndpoint } from "../src/peer/grpc-leader-endpoint.ts";
import { NodeClock } from "../src/platform/node/node-clock.ts";
import type { AcceptedReplica, ReplicaInput } from "../src/replication/leader-endpoint.ts";
import { PeerServer } from "../src/server/peer-server.ts";
import { startServer } from "./processes.ts";

/*
 * npm run bench -- replica-wire: MB/s from a leader to a follower over loopback, one process each, through the peer port
 * and the follower's credit, beside bare node:http2 with the same windows, which neither frames nor gathers (the limit).
 *   --runs N (5)  --seconds S (2)  --frames 65536,1048576  --batch BYTES (16384)  --json FILE
 *
 * replica-wire.ts serve --batch BYTES   the leader's process; prints {"address": "<peer port>,<bare http2>"}
 */
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    frames: { type: "string", default: "65536,1048576" },
    batch: { type: "string", default: "16384" },
    json: { type: "string" },
  },
});

const LEADER = { nodeId: nodeId(1), directoryId: "leader", clusterId: "bench" };
const FOLLOWER = { nodeId: nodeId(2), directoryId: "follower", clusterId: "bench" };
const WINDOW_BYTES = 8 * 1024 * 1024;
const CREDIT_BYTES = 8 * 1024 * 1024;
/** The follower gives credit back in pieces of this size. */
const CREDIT_STEP_BYTES = 1024 * 1024;
const HEADER_BYTES = 40;
const WARM_UP_MS = 500;
const clock = new NodeClock();
const deps = { clock, logger: silentLogger };

if (positionals[0] === "serve") await serve(Number(options.batch));
else await measureAll();

/** One frame as a leader sends it: a header of its own and batches that lie in memory. */
function frameOf(frameBytes: number, batchBytes: number): Uint8Array[] {
  const chunks: Uint8Array[] = [Buffer.alloc(HEADER_BYTES)];
  for (let left = frameBytes; left > 0; left -= batchBytes)
    chunks.push(Buffer.alloc(Math.min(left, batchBytes), 1));
  return chunks;
}

async function serve(batchBytes: number): Promise<void> {
  const peer = await PeerServer.start(
    { host: "127.0.0.1", port: 0 },
    { endpoint: leaderEndpoint((stream) => pump(stream, batchBytes)), ...deps },
  );
  const bare = createServer({ settings: { initialWindowSize: WINDOW_BYTES, maxFrameSize: 1024 * 1024 } });
  bare.on("stream", (stream, headers) =>
    pumpBare(stream, frameOf(Number(headers["frame-bytes"]), batchBytes)),
  );
  bare.listen(0, "127.0.0.1", () => {
    const { port } = bare.address() as AddressInfo;
    process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${peer.port},${port}` })}\n`);
  });
  process.once("SIGTERM", () => process.exit(0));
}

/** The leader's side: the first frame says how large frames shall be, the others give credit. */
function pump(stream: AcceptedReplica, batchBytes: number): ReplicaInput {
  let frame: Uint8Array[] = [];
  let frameBytes = 0;
  let credit = CREDIT_BYTES;
  let isBlocked = false;
  const send = (): void => {
    while (!isBlocked && credit >= frameBytes) {
      credit -= frameBytes;
      isBlocked = !stream.send(frame);
    }
  };
  return {
    onFrame: (message) => {
      const value = message.readUInt32BE(0);
      if (frameBytes === 0) {
        frameBytes = value;
        frame = frameOf(frameBytes, batchBytes);
      } else {
        credit += value;
      }
      send();
    },
    onDrain: () => {
      isBlocked = false;
      send();
    },
    onEnd: () => {
      isBlocked = true;
    },
  };
}

/** A peer port needs a node behind it; this one only leads. */
function leaderEndpoint(acceptReplica: PeerEndpoint["acceptReplica"]): PeerEndpoint {
  const refuse = (): never => {
    throw new Error("this process only leads");
  };
  return {
    ...LEADER,
    receive: refuse,
    hello: refuse,
    peerClosed: refuse,
    handleCall: refuse,
    acceptSession: refuse,
    acceptReplica,
  };
}

function pumpBare(stream: ServerHttp2Stream, frame: readonly Uint8Array[]): void {
  stream.on("error", () => undefined);
  stream.respond({ ":status": 200 });
  const send = (): void => {
    while (!stream.destroyed && stream.writableLength < WINDOW_BYTES) {
      stream.cork();
      for (const chunk of frame) stream.write(chunk);
      stream.uncork();
    }
    stream.once("drain", send);
  };
  send();
}

async function measureAll(): Promise<void> {
  const server = await startServer([import.meta.filename, "serve", "--batch", options.batch]);
  const [peer = "", bare = ""] = server.address.split(",");
  const cases = options.frames.split(",").flatMap((text) => {
    const size = Number(text);
    const frames = `frames of ${size / 1024} KiB`;
    return [
      {
        name: `replica stream, ${frames}`,
        measure: () => measureReplica(peer, size),
        values: [] as number[],
      },
      { name: `bare node:http2, ${frames}`, measure: () => measureBare(bare, size), values: [] as number[] },
    ];
  });
  try {
    // In turns, so that what else the machine does falls on all alike.
    for (let run = 0; run < Number(options.runs); run++) {
      for (const { measure, values } of cases) values.push(await measure());
    }
  } finally {
    await server.stop();
  }
  const results = cases.map(({ name, values }) => {
    const sorted = values.map(Math.round).toSorted((a, b) => a - b);
    return { name, unit: "MB/s", median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
  });
  for (const { name, unit, median, min, max } of results) {
    process.stdout.write(`${name.padEnd(36)} ${String(median).padStart(6)} ${unit}   ${min} .. ${max}\n`);
  }
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);
  }
}

async function measureReplica(address: string, frameBytes: number): Promise<number> {
  const endpoint = new GrpcLeaderEndpoint({ identity: () => FOLLOWER }, deps);
  let received = 0;
  let owed = 0;
  const failed = new Deferred<never>();
  const channel = endpoint.open(
    { nodeId: LEADER.nodeId, directoryId: "", endpoint: address },
    {
      onFrame: (frame) => {
        received += frame.length;
        owed += frame.length - HEADER_BYTES;
        if (owed < CREDIT_STEP_BYTES) return;
        channel.send([uint32(owed)]);
        owed = 0;
      },
      onDrain: () => undefined,
      onEnd: (cause) => failed.reject(cause),
    },
  );
  channel.send([uint32(frameBytes)]);
  try {
    return await Promise.race([rate(() => received), failed.promise]);
  } finally {
    channel.close();
  }
}

async function measureBare(port: string, frameBytes: number): Promise<number> {
  const session = connect(`http://127.0.0.1:${port}`, {
    settings: { initialWindowSize: WINDOW_BYTES, maxFrameSize: 1024 * 1024 },
  });
  session.on("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
  const stream = session.request({ "frame-bytes": String(frameBytes) });
  let received = 0;
  stream.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  stream.on("error", () => undefined);
  try {
    return await rate(() => received);
  } finally {
    session.destroy();
  }
}

/** MB a second, after a warm-up. */
async function rate(count: () => number): Promise<number> {
  await clock.sleep(WARM_UP_MS);
  const before = count();
  const startedAt = performance.now();
  await clock.sleep(Number(options.seconds) * 1000);
  return (count() - before) / 1000 / (performance.now() - startedAt);
}

function uint32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}
