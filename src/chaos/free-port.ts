import { once } from "node:events";
import { createServer } from "node:net";

/** Below what Linux (32768), macOS and Windows (49152) give to outgoing connections: none of those can be in the way. */
const LOWEST = 15_000;
const HIGHEST = 32_000;
const MAX_TRIES = 100;

/** A port that was free a moment ago: for a broker that must come back under the same address. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    // By chance, so that two who look at the same time seldom find the same one.
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST} in ${MAX_TRIES} attempts`);
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: "127.0.0.1", exclusive: true });
    await once(server, "listening");
    const closed = once(server, "close");
    server.close();
    await closed;
    return true;
  } catch {
    return false;
  }
}
