import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { freePort } from "./free-port.ts";

/** Which way bytes go: from who connects, or back to it. */
export type Direction = "forward" | "back";

/** What a relay saw so far; the difference of two of them is what happened between. */
export interface RelayCounts {
  /** Bytes passed on, both ways together. */
  readonly passedBytes: number;
  /** Connections that were begun into a cut. */
  readonly blockedConnections: number;
}

interface Pair {
  readonly incoming: Socket;
  readonly outgoing: Socket;
}

/** Until the target is asked again whether it listens. */
const LOOK_MS = 10;
const HOST = "127.0.0.1";

/**
 * A TCP relay in front of one address, whose link can be cut without a trace (bytes stay where they are, as behind a
 * firewall that drops packets), delayed, or broken. Connections are accepted while it is cut: a cut is no refusal. Where
 * the target's process is gone, this refuses as the target itself would: brokers tell a death from silence by that.
 */
export class Relay implements AsyncDisposable {
  readonly port: number;
  /** Undefined: it refuses, since the target does. */
  #server: Server | undefined;
  readonly #pairs = new Set<Pair>();
  readonly #cut = new Set<Direction>();
  readonly #targetPort: number;
  readonly #counts = { passedBytes: 0, blockedConnections: 0 };
  #delayMs = 0;
  #looking: Promise<void> | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    this.#targetPort = targetPort;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** @param targetPort on 127.0.0.1; nobody need listen there yet. */
  static async listen(targetPort: number): Promise<Relay> {
    const server = createServer();
    const port = await freePort();
    server.listen(port, HOST);
    await once(server, "listening");
    return new Relay(server, port, targetPort);
  }

  get connectionCount(): number {
    return this.#pairs.size;
  }

  get counts(): RelayCounts {
    return { ...this.#counts };
  }

  /** Bytes in these directions stop, and so does news of a closed connection, until `heal`. */
  cut(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#cut.add(direction);
    this.#accepts();
    for (const pair of this.#pairs) this.#steer(pair);
  }

  /** What was held back goes on, in order. */
  heal(): void {
    this.#cut.clear();
    for (const pair of this.#pairs) this.#steer(pair);
  }

  /** Each piece of data is passed on so much later, in both directions; 0 ends it. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Breaks every connection: both sides see a reset. */
  drop(): void {
    for (const { incoming, outgoing } of this.#pairs) {
      incoming.resetAndDestroy();
      outgoing.resetAndDestroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#lookTimer);
    await this.#looking;
    this.drop();
    const server = this.#server;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    await closed;
  }

  #accept(incoming: Socket): void {
    if (this.#cut.size > 0) this.#counts.blockedConnections++;
    const pair: Pair = { incoming, outgoing: connect({ port: this.#targetPort, host: HOST }) };
    this.#pairs.add(pair);
    this.#pass(pair, "forward");
    this.#pass(pair, "back");
    this.#steer(pair);
  }

  #pass(pair: Pair, direction: Direction): void {
    const [source, target] = sides(pair, direction);
    source.setNoDelay(true);
    source.on("data", (piece: Buffer) => {
      this.#counts.passedBytes += piece.byteLength;
      if (this.#delayMs === 0) target.write(piece);
      else setTimeout(() => target.write(piece), this.#delayMs);
    });
    source.on("error", () => this.#end(pair, direction));
    source.on("close", () => this.#end(pair, direction));
  }

  /** One side has ended: the other learns of it, unless the way there is cut. */
  #end(pair: Pair, direction: Direction): void {
    const [, target] = sides(pair, direction);
    if (this.#cut.has(direction) && !target.destroyed) return;
    this.#pairs.delete(pair);
    if (direction === "forward" || target.destroyed) {
      target.destroy();
      return;
    }
    // Who connects again at once has to find what there is: a refusal where nobody listens any more.
    void this.#look().then(() => target.destroy());
  }

  /** Asks whether the target still listens, and does as it does. Never rejects. */
  #look(): Promise<void> {
    this.#looking ??= this.#doAsTarget().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #doAsTarget(): Promise<void> {
    clearTimeout(this.#lookTimer);
    const isThere = await listens(this.#targetPort);
    // Behind a cut nobody can tell.
    if (isThere || this.#cut.size > 0) {
      this.#accepts();
      return;
    }
    this.#server?.close();
    this.#server = undefined;
    if (!this.#isClosed) this.#lookTimer = setTimeout(() => void this.#look(), LOOK_MS);
  }

  #accepts(): void {
    if (this.#server !== undefined || this.#isClosed) return;
    const server = createServer((socket) => this.#accept(socket));
    // Somebody else took the port for a moment: the next look tries again.
    server.once("error", () => {
      if (this.#server === server) this.#server = undefined;
      if (!this.#isClosed) this.#lookTimer = setTimeout(() => void this.#look(), LOOK_MS);
    });
    server.listen(this.port, HOST);
    this.#server = server;
  }

  #steer(pair: Pair): void {
    for (const direction of ["forward", "back"] as const) {
      const [source] = sides(pair, direction);
      if (this.#cut.has(direction)) source.pause();
      else if (source.destroyed) this.#end(pair, direction);
      else source.resume();
    }
  }
}

/** Whether somebody accepts connections at a port of this machine. */
async function listens(port: number): Promise<boolean> {
  const socket = connect({ port, host: HOST });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function sides(pair: Pair, direction: Direction): readonly [source: Socket, target: Socket] {
  return direction === "forward" ? [pair.incoming, pair.outgoing] : [pair.outgoing, pair.incoming];
}
