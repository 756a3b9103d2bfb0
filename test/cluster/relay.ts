import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";

/** Which way bytes go: from who connects, or back to it. */
export type Direction = "forward" | "back";

interface Pair {
  readonly incoming: Socket;
  readonly outgoing: Socket;
}

/**
 * A TCP relay in front of one address, whose link can be cut without a trace (bytes stay where they are, as behind a
 * firewall that drops packets), delayed, or broken. Connections are accepted while it is cut: a cut is no refusal.
 */
export class Relay implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #cut = new Set<Direction>();
  readonly #targetPort: number;
  #delayMs = 0;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    this.#targetPort = targetPort;
  }

  /** @param targetPort on 127.0.0.1; nobody need listen there yet. */
  static async listen(targetPort: number): Promise<Relay> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a relay without a port");
    const relay = new Relay(server, address.port, targetPort);
    server.on("connection", (socket) => relay.#accept(socket));
    return relay;
  }

  get connectionCount(): number {
    return this.#pairs.size;
  }

  /** Bytes in these directions stop, and so does news of a closed connection, until `heal`. */
  cut(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#cut.add(direction);
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
    this.drop();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #accept(incoming: Socket): void {
    const pair: Pair = { incoming, outgoing: connect({ port: this.#targetPort, host: "127.0.0.1" }) };
    this.#pairs.add(pair);
    this.#pass(pair, "forward");
    this.#pass(pair, "back");
    this.#steer(pair);
  }

  #pass(pair: Pair, direction: Direction): void {
    const [source, target] = sides(pair, direction);
    source.setNoDelay(true);
    source.on("data", (piece: Buffer) => {
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
    target.destroy();
    this.#pairs.delete(pair);
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

function sides(pair: Pair, direction: Direction): readonly [source: Socket, target: Socket] {
  return direction === "forward" ? [pair.incoming, pair.outgoing] : [pair.outgoing, pair.incoming];
}
