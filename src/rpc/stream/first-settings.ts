import { LANE_SETTING_ID } from "./http2-limits.ts";

/*
 * How an HTTP/2 client begins (RFC 9113, sections 3.4 and 6.5):
 *
 *   24 bytes   the preface "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
 *    9 bytes   frame header: length (3), type 4 = SETTINGS (1), flags (1), stream 0 (4)
 *    n bytes   settings of 6 bytes: identifier (2), value (4)
 */
export const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

const FRAME_HEADER_BYTES = 9;
const SETTINGS_TYPE = 4;
const SETTING_BYTES = 6;
/** The longest first SETTINGS that is waited for: 42 settings, of which nine exist. */
const MAX_SETTINGS_BYTES = 256;

/** What has to be seen at most before a connection can be given to a lane. */
export const MAX_FIRST_BYTES = HTTP2_PREFACE.length + FRAME_HEADER_BYTES + MAX_SETTINGS_BYTES;

/**
 * "direct": our client's HTTP/2; "grpc": any other HTTP/2, also one that breaks the protocol after its preface, for a
 * real HTTP/2 implementation to refuse; "other": not HTTP/2; "undecided": more bytes are needed.
 */
export type FirstSettings = "direct" | "grpc" | "other" | "undecided";

/** Looks at the first bytes of a connection, however many have come. */
export function inspectFirstSettings(bytes: Buffer): FirstSettings {
  const seen = Math.min(bytes.length, HTTP2_PREFACE.length);
  if (bytes.compare(HTTP2_PREFACE, 0, seen, 0, seen) !== 0) return "other";
  const settingsAt = HTTP2_PREFACE.length + FRAME_HEADER_BYTES;
  if (bytes.length < settingsAt) return "undecided";
  const length = bytes.readUIntBE(HTTP2_PREFACE.length, 3);
  const isSettings =
    bytes[HTTP2_PREFACE.length + 3] === SETTINGS_TYPE &&
    bytes[HTTP2_PREFACE.length + 4] === 0 &&
    bytes.readUInt32BE(HTTP2_PREFACE.length + 5) === 0;
  if (!isSettings || length > MAX_SETTINGS_BYTES || length % SETTING_BYTES !== 0) return "grpc";
  if (bytes.length < settingsAt + length) return "undecided";
  for (let at = settingsAt; at < settingsAt + length; at += SETTING_BYTES) {
    if (bytes.readUInt16BE(at) === LANE_SETTING_ID) return "direct";
  }
  return "grpc";
}
