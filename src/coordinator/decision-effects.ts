import { assert } from "../base/assert.ts";
import { PendingReply } from "./pending-reply.ts";
import type { Waiter } from "./pending-reply.ts";
import type { CoordinatorRecord, Effects, OnGiven, RecordCodec, ReplyTo, Shard } from "./shard.ts";

/** Collects what one decision does; see `Effects`. */
export class DecisionEffects<Record> implements Effects<Record> {
  /** As they go into the log, in order. */
  readonly records: CoordinatorRecord[] = [];
  /** Answered, in order. */
  readonly replies: Waiter[] = [];
  readonly #shard: Shard<Record>;
  readonly #codec: RecordCodec<Record>;
  readonly #nowMs: () => number;

  constructor(deps: {
    readonly shard: Shard<Record>;
    readonly codec: RecordCodec<Record>;
    readonly nowMs: () => number;
  }) {
    this.#shard = deps.shard;
    this.#codec = deps.codec;
    this.#nowMs = deps.nowMs;
  }

  record(record: Record): void {
    // Before the replay: what cannot be written must not change the state.
    this.records.push(this.#codec.encode(record));
    this.#shard.replay(record);
  }

  reply<Response>(to: ReplyTo<Response>, response: Response, onGiven?: OnGiven): void {
    assert(to instanceof PendingReply, "an answer to nobody", { to });
    to.answer(response);
    this.replies.push(onGiven === undefined ? to : this.#telling(to, onGiven));
  }

  /** Tells the shard as well, also when nobody waits for the answer any more: it is not owed from then on. */
  #telling(to: Waiter, onGiven: OnGiven): Waiter {
    return {
      release: () => {
        to.release();
        onGiven(this.#nowMs());
      },
      fail: (error) => to.fail(error),
    };
  }
}
