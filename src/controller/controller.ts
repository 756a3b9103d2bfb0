import { SerialQueue } from "../base/serial-queue.ts";
import type { MetadataImage } from "../metadata/image.ts";
import type { MetadataDelta, MetadataState } from "../metadata/replay.ts";
import type { MetadataLog } from "./metadata-log.ts";
import type { Decision } from "./result.ts";

export interface ControllerOptions {
  /** Commands that may wait behind the running one; beyond it they are refused with BUFFER_EXHAUSTED. */
  readonly maxWaiting: number;
}

export interface ControllerDeps {
  readonly state: MetadataState;
  readonly log: MetadataLog;
  /** Told of each committed change, in order, before its command is answered. Must not throw. */
  readonly onCommit: (delta: MetadataDelta) => void;
}

/**
 * Changes the cluster's metadata: decide, log, replay, answer (D3). One command at a time, so that each decision sees
 * all that was decided before it. A command whose append failed may have been done or not, which a restart tells; after
 * such a failure the log refuses further ones.
 */
export class Controller {
  readonly #state: MetadataState;
  readonly #log: MetadataLog;
  readonly #onCommit: (delta: MetadataDelta) => void;
  readonly #queue: SerialQueue;

  constructor(options: ControllerOptions, deps: ControllerDeps) {
    this.#state = deps.state;
    this.#log = deps.log;
    this.#onCommit = deps.onCommit;
    this.#queue = new SerialQueue({ maxWaiting: options.maxWaiting });
  }

  /** What is committed. */
  get image(): MetadataImage {
    return this.#state;
  }

  /**
   * Decides in its turn, and answers once the records are committed and replayed here. `decide` is pure.
   * @throws LograftError BUFFER_EXHAUSTED, CLOSED, and the errors of `MetadataLog.append`.
   */
  run<Response>(
    decide: (image: MetadataImage) => Decision<Response>,
    signal?: AbortSignal,
  ): Promise<Response> {
    return this.#queue.run(async () => {
      const { records, response } = decide(this.#state);
      if (records.length === 0) return response;
      const commit = this.#state.prepare(records);
      await this.#log.append(records);
      // Nothing else replays while this command runs, so the state is still the one that was decided on.
      this.#onCommit(commit());
      return response;
    }, signal);
  }

  /** Refuses what waits, lets the running command end. Idempotent. */
  close(): Promise<void> {
    return this.#queue.close();
  }
}
