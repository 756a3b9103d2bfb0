import { asBuffer } from "../base/bytes.ts";
import type { Random } from "../platform/random.ts";

/** A UUID of version 4 (RFC 9562) from the client's own randomness, so that a seeded run is repeatable. */
export function randomUuid(random: Random): string {
  const bytes = asBuffer(random.bytes(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
