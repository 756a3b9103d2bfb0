import type { BackoffOptions } from "../base/backoff.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { MetadataCache } from "./metadata-cache.ts";
import type { Telemetry } from "./telemetry.ts";
import type { ClientTransport } from "./transport.ts";

/** What every part of one client shares. */
export interface ClientContext {
  readonly clientId: string;
  /** Where this client is, as the brokers' `broker.rack` names it; empty: not known. */
  readonly rack: string;
  /** Bound of one attempt of a request. */
  readonly requestTimeoutMs: number;
  /** Pauses between attempts. */
  readonly retry: BackoffOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly transport: ClientTransport;
  readonly metadata: MetadataCache;
  /** Undefined: nobody watches. */
  readonly telemetry?: Telemetry | undefined;
}
