import type { ServerOptions, Settings } from "node:http2";

/**
 * The setting that our clients send in their first SETTINGS frame, from the numbers that its registry keeps for
 * experiments (0xf000 to 0xffff). Others ignore it (RFC 9113, section 6.5.2). A hint for the listener where to send the
 * connection, never an authority.
 */
export const LANE_SETTING_ID = 0xfc67;
export const LANE_SETTING_VALUE = 1;

/** One batch of the largest size in flight, with as much again on its way: 8 MiB fill 1 GB/s at 8 ms. */
export const MAX_STREAM_WINDOW_BYTES = 8 * 1024 * 1024;
/** What a stream keeps however many there are: HTTP/2's own default. */
export const MIN_STREAM_WINDOW_BYTES = 64 * 1024;
/** Node gives the connection's window back as it reads, whoever is paused, so it bounds only what is on its way. */
export const CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024;
/** For peers that send large DATA frames; Node's own are 16 KiB. */
const MAX_FRAME_BYTES = 1024 * 1024;

/** What the windows of all streams of one connection may promise together, and so what one connection may make us hold. */
export const CONNECTION_WINDOWS_TOTAL_BYTES = 32 * 1024 * 1024;

/** The stream window to announce for this many open streams: a power of two within the connection's total. */
export function streamWindowBytes(openStreams: number): number {
  let window = MAX_STREAM_WINDOW_BYTES;
  while (window * openStreams > CONNECTION_WINDOWS_TOTAL_BYTES && window > MIN_STREAM_WINDOW_BYTES)
    window /= 2;
  return window;
}

export function clientSettings(): Settings {
  return {
    enablePush: false,
    initialWindowSize: MAX_STREAM_WINDOW_BYTES,
    maxFrameSize: MAX_FRAME_BYTES,
    customSettings: { [LANE_SETTING_ID]: LANE_SETTING_VALUE },
  };
}

/** Guards against HTTP/2 abuse (H72, H82); each with its reason. */
export function serverHttp2Options(maxConcurrentStreams: number): ServerOptions {
  return {
    settings: {
      initialWindowSize: MAX_STREAM_WINDOW_BYTES,
      maxFrameSize: MAX_FRAME_BYTES,
      // A client needs a handful; each costs a window and a handler.
      maxConcurrentStreams,
      // A call has ten short headers; this is room for a token.
      maxHeaderListSize: 16 * 1024,
    },
    // A SETTINGS frame names six settings and ours.
    maxSettings: 16,
    // See maxHeaderListSize: pairs cost memory beyond their bytes.
    maxHeaderListPairs: 64,
    // Of our own keepalive pings at most one is unanswered.
    maxOutstandingPings: 2,
    // MB of headers and of output that is not yet taken: bounded by streams * (high-water mark + one message), so
    // that this is reached only by what those bounds do not see. Beyond it new streams are refused.
    maxSessionMemory: 256,
    // A correct client sends none; some are allowed for frames that cross a reset.
    maxSessionInvalidFrames: 32,
    // Streams above maxConcurrentStreams before the connection is dropped: the limit was announced.
    maxSessionRejectedStreams: 64,
    // Rapid reset (CVE-2023-44487): streams here are long-lived, so resets are rare: 100 at once, then 10 a second.
    streamResetBurst: 100,
    streamResetRate: 10,
    // Header blocks we send are small; this is the guard against one that is not.
    maxSendHeaderBlockLength: 64 * 1024,
  };
}
