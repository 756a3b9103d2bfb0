import { assert } from "../base/assert.ts";
import { Deferred } from "../base/deferred.ts";
import type { LograftError } from "../base/errors.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { metadataVersionOf } from "../metadata/metadata-version.ts";
import type { MetadataState } from "../metadata/replay.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { MetadataLog } from "./metadata-log.ts";
import type { Decision } from "./result.ts";

export interface DecisionLogDeps {
  readonly log: MetadataLog;
  /** What is committed; changed by its owner alone. */
  readonly committed: MetadataState;
  /** A proposal will not be known to be committed: what was decided since is worth nothing. */
  readonly onLost: (cause: Error) => void;
}

/** A decision whose records are in the leader's log. */
export interface Decided<Response> {
  readonly response: Response;
  /** Metadata offset up to which everything is that the decision saw and did. */
  readonly offset: number;
  /**
   * Resolves when all that is committed; only then may the response leave (H21). Rejects with NOT_CONTROLLER when this
   * node stops being the controller before. Need not be waited for.
   */
  readonly committed: Promise<void>;
}

/**
 * The only way in which the active controller changes anything: one synchronous section of decide, check and propose, on
 * a state that runs ahead of the commit by the proposals that wait for it. So decisions follow each other without waiting
 * for a majority, and each sees all before it. The state lives from `start` to `stop`; what was not committed by then is
 * forgotten with it, because the next leader's log is the truth.
 */
export class DecisionLog {
  readonly #deps: DecisionLogDeps;
  #state: MetadataState | undefined;
  readonly #pending = new Set<Deferred<void>>();
  #lastOffset = 0;
  #lastCommitted: Promise<void> = Promise.resolve();

  constructor(deps: DecisionLogDeps) {
    this.#deps = deps;
  }

  get isStarted(): boolean {
    return this.#state !== undefined;
  }

  /** What decisions see: the committed state and the proposals behind it. @throws ProtocolError NOT_CONTROLLER. */
  get image(): MetadataImage {
    return this.#started();
  }

  /** Metadata offset up to which everything is that was decided. */
  get offset(): number {
    return this.#lastOffset;
  }

  /** This node is the settled leader: everything that was committed before is in the committed state. */
  start(): void {
    this.#state = this.#deps.committed.clone();
    this.#lastOffset = this.#deps.log.nextOffset - 1;
    this.#lastCommitted = Promise.resolve();
  }

  /** Rejects what waits with NOT_CONTROLLER and forgets what was decided ahead. Idempotent. */
  stop(): void {
    this.#state = undefined;
    for (const pending of this.#pending) pending.reject(lostError());
    this.#pending.clear();
  }

  /**
   * Decides on the latest state and proposes the records. `decide` is pure, and is told the offset that the records get.
   * A decision without records is answered once all is committed that it may have seen. @throws what `decide` throws,
   * ProtocolError NOT_CONTROLLER, the errors of `MetadataLog.propose`; METADATA_CORRUPT when the records could not be
   * replayed. Nothing was changed then.
   */
  decide<Response>(decide: (image: MetadataImage, offset: number) => Decision<Response>): Decided<Response> {
    const state = this.#started();
    const { log } = this.#deps;
    const offset = log.nextOffset;
    const { records, response } = decide(state, offset);
    if (records.length > 0) {
      // An entry that cannot be replayed would stop every node that comes to it, so this goes first.
      const apply = state.prepare(records);
      // The level before this entry: whoever reads it may not know of another yet.
      const metadataVersion = metadataVersionOf(state);
      const proposal = log.propose(records, metadataVersion);
      assert(proposal.offset === offset, "an entry went to another offset than was said", {
        offset,
        actual: proposal.offset,
      });
      apply();
      this.#lastOffset = offset;
      this.#lastCommitted = this.#await(state, proposal.committed);
    }
    return { response, offset: this.#lastOffset, committed: this.#lastCommitted };
  }

  #await(state: MetadataState, committed: Promise<void>): Promise<void> {
    const pending = new Deferred<void>();
    this.#pending.add(pending);
    committed.then(
      () => {
        this.#pending.delete(pending);
        pending.resolve();
      },
      (error: unknown) => {
        this.#pending.delete(pending);
        pending.reject(error instanceof Error ? error : lostError(error));
        // The state holds records that may never be: nothing may be decided on it any more.
        if (this.#state === state) this.#deps.onLost(error instanceof Error ? error : lostError(error));
      },
    );
    // Some proposals are waited for by nobody (a fencing); their failure shows as the loss of leadership.
    pending.promise.catch(() => undefined);
    return pending.promise;
  }

  #started(): MetadataState {
    if (this.#state === undefined) throw notControllerError();
    return this.#state;
  }
}

/** Refuses what only the active controller does; nothing was changed. */
export function notControllerError(): LograftError {
  return new ProtocolError("NOT_CONTROLLER", "this node is not the active controller; ask the one that is", {
    context: { isIndefinite: false },
  });
}

function lostError(cause?: unknown): LograftError {
  return new ProtocolError(
    "NOT_CONTROLLER",
    "this node stopped being the controller before the change was known to be committed; it may still take effect",
    { context: { isIndefinite: true }, cause },
  );
}
