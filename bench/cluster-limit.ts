import { closeSync, fdatasync, openSync, writev } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { crc32c } from "../src/base/crc32c.ts";
import { listen, open, printRate } from "./limit-process.ts";
import { onFrames } from "./raw-frames.ts";

/*
 * What the machine allows a replicated log: the same bytes over raw TCP from one client to a leader and from there to
 * two followers, a CRC-32C and a file at each, with no protocol and no record. What came while a write or a sync of a
 * file ran shares the next. The client is answered when all three have it.
 *
 *   cluster-limit.ts serve --dir DIR [--sync] [--followers A,B]   prints {"address"}
 *   cluster-limit.ts produce --address A --seconds S              frames of 64 KiB, 64 in flight
 *
 * Frame: u32 length, then the bytes; they go to the files in turn. Answer: u8 file, u24 frames that it has now more.
 */
const FRAME_BYTES = 64 * 1024;
const FILES = 6;
const IN_FLIGHT = 64;
const WARM_UP_MS = 1000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: "string" },
    sync: { type: "boolean" },
    followers: { type: "string" },
    address: { type: "string" },
    seconds: { type: "string" },
  },
});

switch (positionals[0]) {
  case "serve":
    await serve(values.dir ?? ".", values.sync === true, values.followers?.split(",") ?? []);
    break;
  case "produce":
    await produce(values.address ?? "", Number(values.seconds ?? "5"));
    break;
  default:
    throw new Error("serve or produce");
}

interface Lane {
  readonly fd: number;
  readonly index: number;
  size: number;
  queue: Buffer[];
  isBusy: boolean;
  /** Frames that this process and each follower have. */
  readonly stored: number[];
  answered: number;
}

async function serve(directory: string, isSynced: boolean, addresses: readonly string[]): Promise<void> {
  const followers = await Promise.all(addresses.map(open));
  const lanes = Array.from({ length: FILES }, (_, index): Lane => {
    const fd = openSync(join(directory, `limit-${index}`), "w");
    const stored = [0, ...followers.map(() => 0)];
    return { fd, index, size: 0, queue: [], isBusy: false, stored, answered: 0 };
  });
  let client: Socket | undefined;
  const answer = (lane: Lane, who: number, frames: number): void => {
    lane.stored[who] = (lane.stored[who] ?? 0) + frames;
    const everywhere = Math.min(...lane.stored);
    if (everywhere === lane.answered) return;
    client?.write(encodeAnswer(lane.index, everywhere - lane.answered));
    lane.answered = everywhere;
  };
  const pump = (lane: Lane): void => {
    if (lane.isBusy || lane.queue.length === 0) return;
    lane.isBusy = true;
    const frames = lane.queue;
    lane.queue = [];
    const done = (): void => {
      lane.isBusy = false;
      answer(lane, 0, frames.length);
      pump(lane);
    };
    writev(lane.fd, frames, lane.size, (error, written) => {
      if (error !== null || written !== frames.length * FRAME_BYTES) throw error ?? new Error("short write");
      lane.size += written;
      if (isSynced) fdatasync(lane.fd, done);
      else done();
    });
  };
  for (const [index, follower] of followers.entries()) {
    onAnswers(follower, (file, frames) => {
      const lane = lanes[file];
      if (lane !== undefined) answer(lane, index + 1, frames);
    });
  }
  const onSocket = (socket: Socket): void => {
    socket.on("error", () => socket.destroy());
    client = socket;
    let next = 0;
    onFrames(socket, (frame) => {
      crc32c(frame);
      for (const follower of followers) send(follower, frame);
      const lane = lanes[next++ % FILES];
      if (lane === undefined) return;
      lane.queue.push(frame);
      pump(lane);
    });
  };
  listen(onSocket, () => {
    for (const lane of lanes) closeSync(lane.fd);
  });
}

async function produce(address: string, seconds: number): Promise<void> {
  const socket = await open(address);
  const frame = Buffer.alloc(FRAME_BYTES, 0x61);
  const warmAt = performance.now() + WARM_UP_MS;
  const endAt = warmAt + seconds * 1000;
  let startedAt = 0;
  let outstanding = 0;
  let answered = 0;
  await new Promise<void>((resolve) => {
    const fill = (): void => {
      const now = performance.now();
      if (startedAt === 0 && now >= warmAt) {
        startedAt = now;
        answered = 0;
      }
      for (; outstanding < IN_FLIGHT && now < endAt; outstanding++) send(socket, frame);
      if (outstanding === 0) resolve();
    };
    onAnswers(socket, (_, frames) => {
      outstanding -= frames;
      answered += frames;
      fill();
    });
    fill();
  });
  printRate(answered * FRAME_BYTES, startedAt);
  socket.destroy();
}

function send(socket: Socket, frame: Buffer): void {
  const prefix = Buffer.allocUnsafe(4);
  prefix.writeUInt32BE(frame.length, 0);
  socket.cork();
  socket.write(prefix);
  socket.write(frame);
  socket.uncork();
}

function encodeAnswer(file: number, frames: number): Buffer {
  const answer = Buffer.allocUnsafe(4);
  answer.writeUInt32BE(file * 2 ** 24 + frames, 0);
  return answer;
}

function onAnswers(socket: Socket, onAnswer: (file: number, frames: number) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (piece: Buffer) => {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      const value = bytes.readUInt32BE(at);
      onAnswer(value >>> 24, value & 0xff_ffff);
    }
    rest = bytes.subarray(at);
  });
}
