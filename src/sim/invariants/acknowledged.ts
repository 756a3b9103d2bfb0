import type { MarkerCounts } from "../markers.ts";
import type { MetadataModel } from "./metadata-model.ts";
import { mustHold } from "./violation.ts";

/**
 * What clients were told: a change that was acknowledged is committed at that moment and for ever, and no change, whatever
 * was answered, is applied twice (that is counted by `MetadataModel`).
 */
export class Acknowledged {
  readonly #model: MetadataModel;
  readonly #markers: MarkerCounts;
  readonly #tokens = new Set<string>();
  #fresh: string[] = [];

  constructor(deps: { readonly model: MetadataModel; readonly markers: MarkerCounts }) {
    this.#model = deps.model;
    this.#markers = deps.markers;
  }

  /** A client was told that this change is done. */
  add(token: string): void {
    this.#markers.hit("changeAcknowledged");
    mustHold(!this.#tokens.has(token), "AppliedOnce", "one change was acknowledged to two clients", () => ({
      token,
    }));
    this.#tokens.add(token);
    this.#fresh.push(token);
  }

  /** After each step, when what the step committed is known. */
  checkFresh(): void {
    if (this.#fresh.length === 0) return;
    for (const token of this.#fresh) {
      mustHold(
        this.#model.countOf(token) === 1,
        "AcknowledgedIsCommitted",
        "a client was told of a change that is not committed",
        () => ({ token }),
      );
    }
    this.#fresh = [];
  }

  /** A client does not know whether its change was made. */
  unknown(): void {
    this.#markers.hit("changeOutcomeUnknown");
  }

  /** At the end: the log that all nodes agree on still has everything. */
  checkAll(): void {
    for (const token of this.#tokens) {
      mustHold(
        this.#model.countOf(token) === 1,
        "AcknowledgedIsKept",
        "an acknowledged change is lost",
        () => ({
          token,
        }),
      );
    }
  }
}
