import { randomBytes, randomInt } from "node:crypto";
import type { Random } from "../random.ts";

/** `randomInt` takes ranges below 2^48. */
const FRACTION_STEPS = 2 ** 48 - 1;

/** The system's entropy: unpredictable, so ids and tokens may come from it. */
export class NodeRandom implements Random {
  below(maxExclusive: number): number {
    return randomInt(maxExclusive);
  }

  fraction(): number {
    return randomInt(FRACTION_STEPS) / FRACTION_STEPS;
  }

  bytes(count: number): Uint8Array {
    return randomBytes(count);
  }
}
