import type { Socket } from "node:net";

/** Calls back with each frame that comes: u32 length, then the bytes, which are the callee's to keep. */
export function onFrames(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let wanted = -1;
  let frame = Buffer.alloc(0);
  let filled = 0;
  const prefix = Buffer.alloc(4);
  let prefixFilled = 0;
  socket.on("data", (piece: Buffer) => {
    let at = 0;
    while (at < piece.length) {
      if (wanted === -1) {
        const count = Math.min(4 - prefixFilled, piece.length - at);
        piece.copy(prefix, prefixFilled, at, at + count);
        prefixFilled += count;
        at += count;
        if (prefixFilled < 4) return;
        prefixFilled = 0;
        wanted = prefix.readUInt32BE(0);
        frame = Buffer.allocUnsafeSlow(wanted);
        filled = 0;
      }
      const count = Math.min(wanted - filled, piece.length - at);
      piece.copy(frame, filled, at, at + count);
      filled += count;
      at += count;
      if (filled === wanted) {
        wanted = -1;
        onFrame(frame);
      }
    }
  });
}
