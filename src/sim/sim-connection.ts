import { operationError } from "../base/errors.ts";
import type { LograftError } from "../base/errors.ts";
import { machineOf } from "./sim-network.ts";
import type { NetworkHost, SimNetwork } from "./sim-network.ts";

/** Why a connection ended: nobody listened there, or it broke. */
export type ConnectionEnd = "refused" | "closed";

/** What one side does with what comes. */
export interface ConnectionHandlers<Frame> {
  onFrame(frame: Frame): void;
  /** Once, when the connection ended without this side's `close`. */
  onEnd(reason: ConnectionEnd): void;
}

/** One side of a connection. */
export interface ConnectionSide<Frame> {
  /** In order with the earlier ones. Dropped when the connection has ended. */
  send(frame: Frame): void;
  /** The other side's `onEnd` follows, ours does not. Idempotent. */
  close(): void;
}

/** A lost frame is sent again after this long. */
const RETRY_MS = 200;
/** Both sides give a connection up when a frame does not get through for so long. */
const GIVE_UP_MS = 2_000;

/** A connection that could not be made or broke, as an error. */
export function connectionError(endpoint: string, reason: ConnectionEnd): LograftError {
  const why = reason === "refused" ? "nothing listens there" : "the connection broke";
  return operationError("CONNECTION_FAILED", `cannot reach ${endpoint}: ${why}`, {
    context: { endpoint, isRefused: reason === "refused" },
    retriable: true,
  });
}

/**
 * A connection with the manners of TCP: frames come in order, a lost one holds up the next, a dead process answers with
 * a reset as soon as the link lets it through, and through a cut nothing is heard until somebody gives up.
 */
export class SimConnection<Host extends NetworkHost, Frame> {
  readonly #network: SimNetwork<Host>;
  readonly #endpoint: string;
  readonly #client: Side<Frame>;
  #server: Side<Frame> | undefined;
  /** Frames from before the other side is known ride with the opening packet. */
  readonly #unsent: Frame[] = [];

  private constructor(network: SimNetwork<Host>, endpoint: string, client: Side<Frame>) {
    this.#network = network;
    this.#endpoint = endpoint;
    this.#client = client;
  }

  /** Opens one from a process to an endpoint; `accept` runs in the process that listens there. */
  static open<Host extends NetworkHost, Frame>(
    network: SimNetwork<Host>,
    from: NetworkHost,
    endpoint: string,
    handlers: ConnectionHandlers<Frame>,
    accept: (host: Host, side: ConnectionSide<Frame>) => ConnectionHandlers<Frame>,
  ): ConnectionSide<Frame> {
    const client = new Side<Frame>(from);
    client.handlers = handlers;
    const connection = new SimConnection<Host, Frame>(network, endpoint, client);
    const machine = machineOf(endpoint);
    // An address of no machine is never reached.
    if (machine === undefined) {
      network.scheduler.schedule(RETRY_MS, () => client.end("closed"));
    } else {
      connection.#pass(from.machine, machine, 0, (isThrough) => {
        if (isThrough) connection.#opened(machine, accept);
        else client.end("closed");
      });
    }
    return {
      send: (frame) => {
        if (connection.#server !== undefined) connection.#send(client, connection.#server, frame);
        else if (!client.isEnded) connection.#unsent.push(frame);
      },
      close: () => connection.#close(client, connection.#server),
    };
  }

  #opened(
    machine: number,
    accept: (host: Host, side: ConnectionSide<Frame>) => ConnectionHandlers<Frame>,
  ): void {
    const host = this.#network.hostAt(this.#endpoint);
    if (host === undefined) {
      this.#pass(machine, this.#client.host.machine, 0, (isThrough) =>
        this.#client.end(isThrough ? "refused" : "closed"),
      );
      return;
    }
    // One that stands still takes it later, if it lives to.
    const forgetDeath = host.onDeath(() => this.#reset(machine));
    host.deliver(() => {
      forgetDeath();
      if (this.#client.isEnded) return;
      const server = new Side<Frame>(host);
      this.#server = server;
      const accepted = accept(host, {
        send: (frame) => this.#send(server, this.#client, frame),
        close: () => this.#close(server, this.#client),
      });
      server.handlers = accepted;
      for (const [mine, other] of [
        [this.#client, server],
        [server, this.#client],
      ] as const) {
        mine.forgetDeath = mine.host.onDeath(() => this.#close(mine, other));
      }
      for (const frame of this.#unsent.splice(0)) if (!server.isEnded) accepted.onFrame(frame);
    });
  }

  /** The machine answers for a process that died before it could accept. */
  #reset(machine: number): void {
    this.#pass(machine, this.#client.host.machine, 0, () => this.#client.end("closed"));
  }

  #send(from: Side<Frame>, to: Side<Frame>, frame: Frame): void {
    if (from.isEnded || !from.host.isAlive) return;
    to.incoming.push({ frame });
    if (to.incoming.length === 1) this.#pump(from, to);
  }

  #close(from: Side<Frame>, to: Side<Frame> | undefined): void {
    if (from.isEnded) return;
    from.finish();
    if (to === undefined) return;
    to.incoming.push("end");
    if (to.incoming.length === 1) this.#pump(from, to);
  }

  /** Brings the parcels towards one side, one after the other. */
  #pump(from: Side<Frame>, to: Side<Frame>): void {
    this.#pass(from.host.machine, to.host.machine, 0, (isThrough) => {
      const parcels = to.incoming.splice(0);
      for (const parcel of parcels) {
        if (!isThrough) {
          from.end("closed");
          to.end("closed");
        } else if (parcel === "end") {
          to.end("closed");
        } else {
          to.receive(parcel.frame);
        }
      }
    });
  }

  /** One packet with retransmissions: calls back when it arrives, or with false after `GIVE_UP_MS`. */
  #pass(from: number, to: number, waitedMs: number, then: (isThrough: boolean) => void): void {
    const { scheduler } = this.#network;
    scheduler.schedule(this.#network.delayMs(from, to), () => {
      if (!this.#network.isFrameLost(from, to)) then(true);
      else if (waitedMs >= GIVE_UP_MS) then(false);
      else scheduler.schedule(RETRY_MS, () => this.#pass(from, to, waitedMs + RETRY_MS, then));
    });
  }
}

/** One end of a connection and the process that has it. */
class Side<Frame> {
  readonly host: NetworkHost;
  /** On the way to this side, in order. */
  readonly incoming: ({ readonly frame: Frame } | "end")[] = [];
  handlers: ConnectionHandlers<Frame> | undefined;
  forgetDeath: (() => void) | undefined;
  isEnded = false;

  constructor(host: NetworkHost) {
    this.host = host;
  }

  receive(frame: Frame): void {
    this.host.deliver(() => {
      if (!this.isEnded && this.host.isAlive) this.handlers?.onFrame(frame);
    });
  }

  end(reason: ConnectionEnd): void {
    this.host.deliver(() => {
      if (this.isEnded) return;
      this.finish();
      if (this.host.isAlive) this.handlers?.onEnd(reason);
    });
  }

  finish(): void {
    this.isEnded = true;
    this.forgetDeath?.();
  }
}
