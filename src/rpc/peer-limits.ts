/** Largest message of the peer port, either way: 4 MiB of payload and room for what is around it. */
export const PEER_MAX_MESSAGE_BYTES = 4 * 1024 * 1024 + 64 * 1024;

/** What may wait on a stream of the peer port before `send` says so: a sender that heeds it never comes near the cut. */
export const PEER_SEND_HIGH_WATER_BYTES = 2 * 1024 * 1024;

/** What may wait for a peer that does not read, on one session or replica stream, before it is cut. */
export const PEER_MAX_WAITING_BYTES = 16 * 1024 * 1024;

/**
 * Pings of both sides: a host that vanished without a word is found within three seconds, the session timeout of a
 * broker.
 */
export const PEER_KEEPALIVE = { intervalMs: 1000, timeoutMs: 2000 } as const;
