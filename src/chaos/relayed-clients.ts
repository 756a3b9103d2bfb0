import { silentLogger } from "../base/logger.ts";
import type { ClientTransport, UnaryCallOptions, UnaryMethod, UnaryMethods } from "../client/index.ts";
import { LograftClient } from "../client/index.ts";
import { GrpcTransport } from "../client/grpc-transport.ts";
import { NodeClock } from "../platform/node/node-clock.ts";
import { NodeRandom } from "../platform/node/node-random.ts";
import type { ByteStream } from "../rpc/stream/byte-stream.ts";
import type { ClusterProcess } from "./cluster-process.ts";
import { Relay } from "./relay.ts";

/** Goes another way to each broker than the address that the broker tells: through a relay, or to another broker. */
export class RelayedTransport implements ClientTransport {
  readonly #inner: GrpcTransport;
  readonly #ways: ReadonlyMap<string, string>;

  constructor(clientId: string, ways: ReadonlyMap<string, string>) {
    const deps = {
      clock: new NodeClock({ keepsAlive: true }),
      logger: silentLogger,
      random: new NodeRandom(),
    };
    this.#inner = new GrpcTransport({ lane: "direct", clientId }, deps);
    this.#ways = ways;
  }

  call<M extends UnaryMethod>(
    address: string,
    method: M,
    request: UnaryMethods[M]["request"],
    options: UnaryCallOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    return this.#inner.call(this.#way(address), method, request, options);
  }

  openStream(address: string, method: string): ByteStream {
    return this.#inner.openStream(this.#way(address), method);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #way(address: string): string {
    return this.#ways.get(address) ?? address;
  }
}

/**
 * Clients whose connections pass relays, so that answers can be dropped after a broker has done what it was asked: the
 * strongest finder of duplicates.
 */
export class RelayedClients implements AsyncDisposable {
  readonly #relays: readonly Relay[];
  readonly #ways: ReadonlyMap<string, string>;
  readonly #addresses: readonly string[];

  private constructor(
    relays: readonly Relay[],
    ways: ReadonlyMap<string, string>,
    addresses: readonly string[],
  ) {
    this.#relays = relays;
    this.#ways = ways;
    this.#addresses = addresses;
  }

  static async create(cluster: ClusterProcess): Promise<RelayedClients> {
    const relays: Relay[] = [];
    const ways = new Map<string, string>();
    const addresses = cluster.nodeIds.map((nodeId) => cluster.addressOf(nodeId));
    for (const address of addresses) {
      const relay = await Relay.listen(Number(address.slice(address.lastIndexOf(":") + 1)));
      relays.push(relay);
      ways.set(address, `127.0.0.1:${relay.port}`);
    }
    return new RelayedClients(relays, ways, addresses);
  }

  /** From the address of each broker to its relay, for clients in other processes. */
  get ways(): readonly (readonly [address: string, way: string])[] {
    return [...this.#ways];
  }

  /** The caller closes it. */
  client(clientId: string): LograftClient {
    return new LograftClient({
      brokers: this.#addresses,
      clientId,
      requestTimeoutMs: 5000,
      retry: { initialMs: 20, maxMs: 250, jitter: 0.2 },
      transport: new RelayedTransport(clientId, this.#ways),
    });
  }

  /** Answers stop; requests go on. */
  holdAnswers(): void {
    for (const relay of this.#relays) relay.cut("back");
  }

  /** The answers that were held back are lost with their connections. Answers how many connections there were. */
  loseAnswers(): number {
    let count = 0;
    for (const relay of this.#relays) {
      count += relay.connectionCount;
      relay.drop();
      relay.heal();
    }
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const relay of this.#relays) await relay[Symbol.asyncDispose]();
  }
}
