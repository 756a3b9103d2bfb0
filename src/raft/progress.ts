import { SnapshotTransfer } from "./snapshot-transfer.ts";
import type { ReplicaId, ReplicaProgress, SnapshotDescription } from "./types.ts";

/**
 * "probe": where the logs agree is not known; one request at a time finds it. "replicate": it is; requests follow each
 * other without waiting. "snapshot": what the replica needs is not in the log any more.
 */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** The numbers of the leader that bound what is sent; all times are ticks of its term. */
export interface ProgressLimits {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly maxInflightAppends: number;
}

/** What a leader knows of another replica in its term. A match index never falls: the replica's disk has it (H4). */
export class Progress {
  readonly id: ReplicaId;
  endpoint: string;
  /** False: an observer, which counts for nothing. */
  isVoter: boolean;
  #limits: ProgressLimits;
  #state: ProgressState = "probe";
  #matchIndex = 0;
  #nextIndex: number;
  /** Last index of each unanswered request, rising. Only in "replicate". */
  #inflight: number[] = [];
  #isProbeOut = false;
  #transfer: SnapshotTransfer | undefined;
  /** When what is unanswered was last sent, sent again, or answered in part. */
  #waitingSince: number;
  #heardTick: number;
  #answeredRound = 0;
  #sentCommit = 0;
  /** The round of catching up (§4.2.1): where the log ended when it began, when that was, whether it is over. */
  #roundEnd: number;
  #roundStart: number;
  #isRoundOver = false;
  #wasRoundShort = false;

  constructor(
    options: {
      readonly id: ReplicaId;
      readonly endpoint: string;
      readonly isVoter: boolean;
      /** Optimistic: the replica may well have all that the leader has. */
      readonly lastIndex: number;
      readonly now: number;
    },
    limits: ProgressLimits,
  ) {
    this.id = options.id;
    this.endpoint = options.endpoint;
    this.isVoter = options.isVoter;
    this.#limits = limits;
    this.#nextIndex = options.lastIndex + 1;
    this.#waitingSince = options.now;
    // An election just won counts as news of everybody: nobody is called silent before a whole election timeout.
    this.#heardTick = options.now;
    this.#roundEnd = options.lastIndex;
    this.#roundStart = options.now;
  }

  get state(): ProgressState {
    return this.#state;
  }

  /** Everything up to here is on the replica's disk and is the leader's. */
  get matchIndex(): number {
    return this.#matchIndex;
  }

  /** First index of the next request. */
  get nextIndex(): number {
    return this.#nextIndex;
  }

  /** The commit index of the last append request. */
  get sentCommit(): number {
    return this.#sentCommit;
  }

  get heardTick(): number {
    return this.#heardTick;
  }

  /** The newest heartbeat round that the replica answered. */
  get answeredRound(): number {
    return this.#answeredRound;
  }

  get transfer(): SnapshotTransfer | undefined {
    return this.#transfer;
  }

  /** True when an append request may go out now. */
  get canSend(): boolean {
    switch (this.#state) {
      case "probe":
        return !this.#isProbeOut;
      case "replicate":
        return this.#inflight.length < this.#limits.maxInflightAppends;
      case "snapshot":
        return false;
    }
  }

  /** Any message of the replica in this term. */
  heard(now: number): void {
    this.#heardTick = now;
  }

  /** A heartbeat of this round came back. */
  answered(round: number): void {
    this.#answeredRound = Math.max(this.#answeredRound, round);
  }

  /** An append request went out whose entries end at `lastIndex` (the one before `nextIndex` when it has none). */
  sent(lastIndex: number, commit: number, now: number): void {
    this.#sentCommit = commit;
    if (lastIndex > this.#roundEnd && this.#isRoundOver) this.#beginRound(lastIndex, now);
    if (this.#state === "probe") {
      this.#isProbeOut = true;
      this.#waitingSince = now;
    } else if (lastIndex >= this.#nextIndex) {
      if (this.#inflight.length === 0) this.#waitingSince = now;
      this.#inflight.push(lastIndex);
      this.#nextIndex = lastIndex + 1;
    }
  }

  /**
   * The replica has everything up to `index`; `logEnd` is the leader's last index. Answers whether the match index rose.
   * `isServed`: tells whether the log still has what follows an index.
   */
  accepted(index: number, logEnd: number, now: number, isServed: (index: number) => boolean): boolean {
    const isNews = index > this.#matchIndex;
    if (isNews) {
      this.#matchIndex = index;
      this.#countRound(logEnd, now);
    }
    this.#waitingSince = now;
    switch (this.#state) {
      case "probe":
        this.#replicateFrom(Math.max(index, this.#matchIndex) + 1);
        break;
      case "replicate":
        this.#nextIndex = Math.max(this.#nextIndex, index + 1);
        while ((this.#inflight[0] ?? Infinity) <= index) this.#inflight.shift();
        break;
      case "snapshot":
        // It got on without the snapshot, by what another leader or an earlier request brought.
        if (isNews && isServed(index)) this.#probeFrom(index + 1);
        break;
    }
    return isNews;
  }

  /** The replica does not have what comes before a request (`prevIndex`); the logs may agree at `agreedIndex`. */
  refused(prevIndex: number, agreedIndex: number, now: number): void {
    // A refusal that contradicts what is known by now was overtaken by its successor (H5).
    const isStale =
      this.#state === "probe" ? prevIndex !== this.#nextIndex - 1 : prevIndex <= this.#matchIndex;
    if (isStale || this.#state === "snapshot") return;
    this.#waitingSince = now;
    this.#probeFrom(Math.max(Math.min(prevIndex, agreedIndex + 1), this.#matchIndex + 1));
  }

  /**
   * The replica lives (it answered a heartbeat), but not to what was sent. "probe": the request before may be sent
   * again; "tail": ask with an empty request whether the last ones arrived; "chunk": send the chunk again.
   */
  retry(now: number): "probe" | "tail" | "chunk" | undefined {
    const { heartbeatTicks } = this.#limits;
    if (this.#transfer !== undefined) return this.#transfer.isLate(now, heartbeatTicks) ? "chunk" : undefined;
    const isWaiting = this.#isProbeOut || this.#inflight.length > 0;
    if (!isWaiting || now - this.#waitingSince < heartbeatTicks) return undefined;
    this.#waitingSince = now;
    if (this.#state === "replicate") return "tail";
    this.#isProbeOut = false;
    return "probe";
  }

  /** What the replica needs is only in this snapshot. */
  beginSnapshot(snapshot: SnapshotDescription, now: number): SnapshotTransfer {
    this.#state = "snapshot";
    this.#inflight = [];
    this.#isProbeOut = false;
    this.#transfer = new SnapshotTransfer(snapshot, now);
    if (this.#isRoundOver) this.#beginRound(snapshot.index, now);
    return this.#transfer;
  }

  /** The snapshot up to `index` is in place there. Answers whether the match index rose. */
  snapshotDone(index: number, logEnd: number, now: number): boolean {
    const isNews = index > this.#matchIndex;
    if (isNews) {
      this.#matchIndex = index;
      this.#countRound(logEnd, now);
    }
    this.#probeFrom(this.#matchIndex + 1);
    return isNews;
  }

  /** Heard from within the last election timeout. */
  isActive(now: number): boolean {
    return now - this.#heardTick < this.#limits.electionTicks;
  }

  /** The last round of catching up took less than an election timeout: as a voter it would not hold up commits (H8). */
  isCaughtUp(now: number): boolean {
    const isRoundLong = !this.#isRoundOver && now - this.#roundStart >= this.#limits.electionTicks;
    return this.#wasRoundShort && !isRoundLong && this.isActive(now);
  }

  describe(now: number): ReplicaProgress {
    return {
      id: this.id,
      endpoint: this.endpoint,
      isVoter: this.isVoter,
      matchIndex: this.#matchIndex,
      isActive: this.isActive(now),
      isCaughtUp: this.isCaughtUp(now),
    };
  }

  #probeFrom(nextIndex: number): void {
    this.#state = "probe";
    this.#nextIndex = nextIndex;
    this.#inflight = [];
    this.#isProbeOut = false;
    this.#transfer = undefined;
  }

  #replicateFrom(nextIndex: number): void {
    this.#state = "replicate";
    this.#nextIndex = nextIndex;
    this.#isProbeOut = false;
  }

  /** The replica has another part of the log; a round that is done is followed by one for what came meanwhile. */
  #countRound(logEnd: number, now: number): void {
    if (this.#isRoundOver || this.#matchIndex < this.#roundEnd) return;
    // A round for nothing is over at once, so who has the whole log is caught up, however long that took.
    this.#wasRoundShort = this.#matchIndex >= logEnd || now - this.#roundStart < this.#limits.electionTicks;
    if (this.#matchIndex >= logEnd) this.#isRoundOver = true;
    else this.#beginRound(logEnd, now);
  }

  #beginRound(end: number, now: number): void {
    this.#roundEnd = end;
    this.#roundStart = now;
    this.#isRoundOver = false;
  }
}
