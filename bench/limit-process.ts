import { connect, createServer } from "node:net";
import type { Socket } from "node:net";

/* What the processes of both limit models have in common. */

/** Listens on a free port of this machine, prints `{"address"}`, and ends with SIGTERM. */
export function listen(onSocket: (socket: Socket) => void, onStop: () => void): void {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    onSocket(socket);
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
  });
  process.once("SIGTERM", () => {
    onStop();
    process.exit(0);
  });
}

/** Connects to "host:port". */
export async function open(address: string): Promise<Socket> {
  const [host = "127.0.0.1", port = "0"] = address.split(":");
  const socket = connect(Number(port), host);
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

/** Prints what passed since `startedAt`, of `performance.now`. */
export function printRate(bytes: number, startedAt: number): void {
  const seconds = (performance.now() - startedAt) / 1000;
  process.stdout.write(`${JSON.stringify({ bytes, seconds, mbPerSecond: bytes / seconds / 1e6 })}\n`);
}
