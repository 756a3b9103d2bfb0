import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../platform/clock.ts";
import { parseHostPort } from "../rpc/host-port.ts";
import { PEER_KEEPALIVE, PEER_MAX_MESSAGE_BYTES, PEER_SEND_HIGH_WATER_BYTES } from "../rpc/peer-limits.ts";
import { DirectChannel } from "../rpc/stream/direct-channel.ts";

/** A connection that takes longer than this is no use to a quorum with elections of a second. */
const CONNECT_TIMEOUT_MS = 2000;

export interface PeerChannelOptions {
  /**
   * Pause after a failed connection, doubling up to ten times this; calls fail at once while it lasts. 0: none, the
   * caller paces itself.
   */
  readonly reconnectMs: number;
}

/** A connection of its own to a peer port. @throws LograftError INVALID_ARGUMENT when `endpoint` is not "host:port". */
export function openPeerChannel(
  endpoint: string,
  options: PeerChannelOptions,
  deps: { readonly clock: Clock; readonly logger: Logger },
): DirectChannel {
  return new DirectChannel(
    {
      ...targetOf(endpoint),
      maxMessageBytes: PEER_MAX_MESSAGE_BYTES,
      sendHighWaterBytes: PEER_SEND_HIGH_WATER_BYTES,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      keepalive: PEER_KEEPALIVE,
      reconnectMinMs: options.reconnectMs,
      reconnectMaxMs: options.reconnectMs * 10,
    },
    deps,
  );
}

/** The parts of a peer's endpoint. @throws LograftError INVALID_ARGUMENT. */
export function targetOf(endpoint: string): { readonly host: string; readonly port: number } {
  const target = parseHostPort(endpoint);
  if (target !== undefined) return target;
  throw operationError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(endpoint)} is not the address of a peer port; write host:port`,
    { context: { endpoint } },
  );
}
