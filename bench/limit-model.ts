import { closeSync, fdatasync, openSync, read, write } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { listen, open, printRate } from "./limit-process.ts";
import { onFrames } from "./raw-frames.ts";

/*
 * What the machine itself allows: the same bytes over a raw TCP connection and in and out of files, with no protocol,
 * no checksum and no record. One process serves, another loads it, as with a broker.
 *
 *   limit-model.ts serve --dir DIR [--sync]          prints {"address"}
 *   limit-model.ts produce --address A --seconds S   frames of 64 KiB, answered one by one, 64 in flight
 *   limit-model.ts consume --address A --bytes N     reads back what was written
 *
 * Frame: u32 length, then the bytes. An empty frame from the client asks for everything to be sent back.
 */
const FRAME_BYTES = 64 * 1024;
const FILES = 6;
const IN_FLIGHT = 64;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: "string" },
    sync: { type: "boolean" },
    address: { type: "string" },
    seconds: { type: "string" },
    bytes: { type: "string" },
  },
});

switch (positionals[0]) {
  case "serve":
    serve(values.dir ?? ".", values.sync === true);
    break;
  case "produce":
    await produce(values.address ?? "", Number(values.seconds ?? "5"));
    break;
  case "consume":
    await consume(values.address ?? "", Number(values.bytes ?? "0"));
    break;
  default:
    throw new Error("serve, produce or consume");
}

interface Lane {
  readonly fd: number;
  size: number;
  queue: Buffer[];
  busy: boolean;
}

function serve(directory: string, isSynced: boolean): void {
  const lanes = Array.from({ length: FILES }, (_, i): Lane => {
    return { fd: openSync(join(directory, `limit-${i}`), "w+"), size: 0, queue: [], busy: false };
  });
  const pump = (lane: Lane, socket: Socket): void => {
    if (lane.busy || lane.queue.length === 0) return;
    lane.busy = true;
    const frames = lane.queue;
    lane.queue = [];
    const data = frames.length === 1 ? (frames[0] ?? Buffer.alloc(0)) : Buffer.concat(frames);
    const done = (): void => {
      lane.busy = false;
      socket.write(Buffer.alloc(4 * frames.length));
      pump(lane, socket);
    };
    write(lane.fd, data, 0, data.length, lane.size, (error, written) => {
      if (error !== null || written !== data.length) throw error ?? new Error("short write");
      lane.size += written;
      if (isSynced) fdatasync(lane.fd, done);
      else done();
    });
  };
  const onSocket = (socket: Socket): void => {
    socket.on("error", () => socket.destroy());
    let next = 0;
    onFrames(socket, (frame) => {
      if (frame.length === 0) {
        sendBack(lanes, socket);
        return;
      }
      const lane = lanes[next++ % FILES];
      if (lane === undefined) return;
      lane.queue.push(frame);
      pump(lane, socket);
    });
  };
  listen(onSocket, () => {
    for (const lane of lanes) closeSync(lane.fd);
  });
}

function sendBack(lanes: readonly Lane[], socket: Socket): void {
  const chunk = 1024 * 1024;
  let file = 0;
  let position = 0;
  const step = (): void => {
    const lane = lanes[file];
    if (lane === undefined) {
      socket.end();
      return;
    }
    const buffer = Buffer.allocUnsafeSlow(chunk);
    read(lane.fd, buffer, 0, chunk, position, (error, count) => {
      if (error !== null) throw error;
      if (count === 0) {
        file++;
        position = 0;
        step();
        return;
      }
      position += count;
      if (socket.write(buffer.subarray(0, count))) step();
      else socket.once("drain", step);
    });
  };
  step();
}

async function produce(address: string, seconds: number): Promise<void> {
  const socket = await open(address);
  const frame = Buffer.alloc(4 + FRAME_BYTES, 0x61);
  frame.writeUInt32BE(FRAME_BYTES, 0);
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  let outstanding = 0;
  let answered = 0;
  await new Promise<void>((resolve) => {
    const fill = (): void => {
      while (outstanding < IN_FLIGHT && performance.now() < endAt) {
        outstanding++;
        socket.write(frame);
      }
      if (outstanding === 0) resolve();
    };
    let bytes = 0;
    socket.on("data", (piece: Buffer) => {
      bytes += piece.length;
      const frames = Math.floor(bytes / 4);
      bytes -= frames * 4;
      outstanding -= frames;
      answered += frames;
      fill();
    });
    fill();
  });
  printRate(answered * FRAME_BYTES, startedAt);
  socket.destroy();
}

async function consume(address: string, wanted: number): Promise<void> {
  const socket = await open(address);
  const startedAt = performance.now();
  let bytes = 0;
  await new Promise<void>((resolve) => {
    socket.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (wanted > 0 && bytes >= wanted) resolve();
    });
    socket.once("close", resolve);
    socket.write(Buffer.alloc(4));
  });
  printRate(bytes, startedAt);
  socket.destroy();
}
