import {
  Server,
  ServerCredentials,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Socket } from "node:net";

import type { Clock } from "../../platform/clock.ts";

/** From the forced end of all connections until it is taken for done. */
const FORCED_MS = 200;

/** A grpc-js server that never listens: connections are given to it by a listener that looked at them first. */
export class InjectedServer {
  /** For what adds itself to a server of the library. */
  readonly server: Server;
  readonly #injector: ReturnType<Server["createConnectionInjector"]>;
  readonly #clock: Clock;
  #closing: Promise<void> | undefined;

  constructor(options: ServerOptions, deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
    this.server = new Server(options);
    this.#injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  addService(definition: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    this.server.addService(definition, implementation);
  }

  /** Takes a connection over, with what was read of it put back. */
  accept(socket: Socket): void {
    this.#injector.injectConnection(socket);
  }

  /** The open calls may end within `graceMs`, then they are cut. Idempotent. */
  close(options: { readonly graceMs: number }): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const finish = (): void => {
        timer.cancel();
        this.#injector.destroy();
        resolve();
      };
      let timer = this.#clock.setTimer(options.graceMs, () => {
        this.server.forceShutdown();
        // A connection that was destroyed a moment ago can swallow the library's callback: nothing is left to wait for.
        timer = this.#clock.setTimer(FORCED_MS, finish);
      });
      this.#injector.drain(options.graceMs);
      this.server.tryShutdown(finish);
    });
    return this.#closing;
  }
}
