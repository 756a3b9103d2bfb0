import { Deferred } from "../../src/base/deferred.ts";
import { abortable } from "../../src/base/abort.ts";
import type { LoadSummary, PartitionWriter, WriteOutcome } from "../../src/coordinator/partition-writer.ts";
import type { CoordinatorRecord } from "../../src/coordinator/shard.ts";
import { ProtocolError } from "../../src/model/error-code.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";

/** An append on its way. */
export interface PendingAppend {
  readonly records: readonly CoordinatorRecord[];
  readonly leaderEpoch: LeaderEpoch;
  settle(outcome: WriteOutcome): void;
}

const TOO_FEW: WriteOutcome = {
  ok: false,
  error: "NOT_ENOUGH_REPLICAS",
  message: "one is missing",
  mayBeWritten: false,
};

/** A log in memory whose commits, losses and loads a test decides. */
export class FakeWriter implements PartitionWriter {
  readonly maxBatchBytes: number;
  /** What a load reads. */
  readonly log: CoordinatorRecord[] = [];
  readonly batches: (readonly CoordinatorRecord[])[] = [];
  pending: PendingAppend[] = [];
  /** Appends are committed in the turn in which they come. */
  isPrompt = true;
  loads = 0;
  loadFailure: Error | undefined;
  /** A load waits for it. */
  gate: Deferred<void> | undefined;

  constructor(maxBatchBytes = 1000) {
    this.maxBatchBytes = maxBatchBytes;
  }

  append(
    _partition: number,
    leaderEpoch: LeaderEpoch,
    records: readonly CoordinatorRecord[],
  ): Promise<WriteOutcome> {
    this.batches.push(records);
    const done = new Deferred<WriteOutcome>();
    const settle = (outcome: WriteOutcome): void => {
      this.pending = this.pending.filter((one) => one !== append);
      if (outcome.ok || outcome.mayBeWritten) this.log.push(...records);
      done.resolve(outcome);
    };
    const append = { records, leaderEpoch, settle };
    this.pending.push(append);
    if (this.isPrompt) settle({ ok: true });
    return done.promise;
  }

  /** The oldest one is committed. */
  commit(): void {
    this.pending[0]?.settle({ ok: true });
  }

  /** The oldest one is lost, and those behind it are not written either. */
  lose(outcome: WriteOutcome = TOO_FEW): void {
    const [first, ...others] = this.pending;
    first?.settle(outcome);
    for (const other of others) other.settle(TOO_FEW);
  }

  async load(
    partition: number,
    _leaderEpoch: LeaderEpoch,
    onRecords: (records: readonly CoordinatorRecord[]) => void,
    signal: AbortSignal,
  ): Promise<LoadSummary> {
    this.loads += 1;
    // What was appended before is in front of the end that the load reads to.
    while (this.pending.length > 0)
      this.pending[0]?.settle({ ok: false, error: "FENCED_LEADER_EPOCH", message: "", mayBeWritten: true });
    if (this.loadFailure !== undefined) throw this.loadFailure;
    await abortable(this.gate?.promise ?? Promise.resolve(), signal);
    onRecords(this.log);
    return { records: this.log.length, bytes: partition };
  }

  /** As when the leadership is gone. */
  static readonly notCoordinator = new ProtocolError("NOT_COORDINATOR", "another one leads it");
}
