import type { Broker } from "../../broker/broker.ts";
import { isReady, recoveringChecks, stoppingCheck } from "../../broker/readiness.ts";
import type { ReadinessCheck } from "../../broker/readiness.ts";

/** The part of a broker that its health is seen from. */
export type WatchedBroker = Pick<Broker, "readiness" | "metrics">;

/**
 * How a node is, from before its data directory is open until after it is closed: the HTTP port answers for all of that
 * time, so that a node that recovers for long is not taken for dead and killed in the middle of it.
 */
export class NodeHealth {
  #broker: WatchedBroker | undefined;
  #isStopping = false;

  /** Undefined while the data directory is being opened. */
  get broker(): WatchedBroker | undefined {
    return this.#broker;
  }

  /** The logs are recovered and the metadata quorum has started: a probe may now begin to count. */
  get isStarted(): boolean {
    return this.#broker !== undefined;
  }

  /** Clients should come here. */
  get isReady(): boolean {
    return isReady(this.checks());
  }

  /** The broker is open and takes part in the quorum. */
  started(broker: WatchedBroker): void {
    this.#broker = broker;
  }

  /** A stop was asked for: not ready from now on. Idempotent. */
  stopping(): void {
    this.#isStopping = true;
  }

  checks(): readonly ReadinessCheck[] {
    if (this.#broker === undefined) return recoveringChecks(this.#isStopping);
    const checks = this.#broker.readiness;
    if (!this.#isStopping) return checks;
    // Before the broker knows: it gives its roles away first, and serves meanwhile.
    return checks.map((check) => (check.name === "stopping" ? stoppingCheck(true) : check));
  }
}
