import { once } from "node:events";
import { createServer } from "node:net";

/** A port that was free a moment ago: for a broker that must come back under the same address. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const closed = once(server, "close");
  server.close();
  await closed;
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}
