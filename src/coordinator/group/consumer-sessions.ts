import type { OnGiven } from "../shard.ts";

/** What this term knows of a member that no record says. */
interface MemberSession {
  deadlineMs: number;
  /** Until when it must have given up what it was told to; Infinity while there is nothing. */
  revokeDeadlineMs: number;
  report: RevocationReport | undefined;
  /** Answers that were decided and have not gone out, and when the first of them was decided. */
  owed: number;
  owedSinceMs: number;
}

/** From one look at a member whose answer waits to the next. */
const OWED_LOOK_MS = 500;

/** What the heartbeats say that were answered with an epoch in which the member is to give something up. */
interface RevocationReport {
  readonly epoch: number;
  readonly says: RevocationState;
}

/**
 * What one of them says about that. "holds": it has it, or does not say; "free": it has none of it, by a heartbeat that may
 * be a delayed duplicate; "givenUp": it had been asked for it before, and has none of it, which is the truth for good.
 */
export type RevocationState = "holds" | "free" | "givenUp";

/** The deadlines of the members of one group, of the monotonic clock. Lost with the leadership. */
export class ConsumerSessions {
  #sessions = new Map<string, MemberSession>();
  /** Not after the earliest of all; moved up to it by `takeOverdue`, so that a heartbeat costs no search. */
  #nextMs = Infinity;

  /** Not after the earliest deadline; Infinity without members. */
  get nextDeadlineMs(): number {
    return this.#nextMs;
  }

  /** Heard of. */
  renew(memberId: string, deadlineMs: number): void {
    this.#session(memberId).deadlineMs = deadlineMs;
    this.#nextMs = Math.min(this.#nextMs, deadlineMs);
  }

  /** It must be heard before this, where its session lasts longer. */
  shorten(memberId: string, deadlineMs: number): void {
    const session = this.#session(memberId);
    this.renew(memberId, Math.min(session.deadlineMs, deadlineMs));
  }

  /** It has at least until then. */
  prolong(memberId: string, deadlineMs: number): void {
    const session = this.#session(memberId);
    this.renew(memberId, Math.max(session.deadlineMs, deadlineMs));
  }

  /**
   * An answer to the member was decided and may wait for a commit for long. Until it goes out the member has nothing to
   * send and does not know what it is asked for, so its time stands still: how fast its coordinator can write is not its
   * fault (H62). Undefined for one that is none.
   */
  owe(memberId: string, nowMs: number): OnGiven | undefined {
    const session = this.#sessions.get(memberId);
    if (session === undefined) return undefined;
    session.owedSinceMs = session.owed === 0 ? nowMs : session.owedSinceMs;
    session.owed++;
    return (givenMs) => {
      session.owed--;
      if (session.owed > 0) return;
      session.deadlineMs += givenMs - session.owedSinceMs;
      session.revokeDeadlineMs += givenMs - session.owedSinceMs;
    };
  }

  /** It must have given up what it was told to; Infinity: it has. */
  revokeBy(memberId: string, deadlineMs: number): void {
    this.#session(memberId).revokeDeadlineMs = deadlineMs;
    this.#nextMs = Math.min(this.#nextMs, deadlineMs);
  }

  /** Notes what a heartbeat says that is answered with this epoch. Who hears the answer sent one of them, maybe not this. */
  noteReport(memberId: string, epoch: number, says: RevocationState): void {
    const session = this.#session(memberId);
    const known = session.report?.epoch === epoch ? session.report.says : "free";
    session.report = { epoch, says: known === "givenUp" || says === "free" ? known : says };
  }

  /** Whether a heartbeat with this epoch that says nothing of what it owns is of one with nothing left to give up. */
  hasGivenUp(memberId: string, epoch: number): boolean {
    const report = this.#sessions.get(memberId)?.report;
    return report?.epoch === epoch && report.says !== "holds";
  }

  remove(memberId: string): void {
    this.#sessions.delete(memberId);
  }

  /** Members that were not heard of, or did not give up what they had to, in time. Finds the next deadline. */
  takeOverdue(nowMs: number): readonly string[] {
    const overdue: string[] = [];
    this.#nextMs = Infinity;
    for (const [memberId, { deadlineMs, revokeDeadlineMs, owed }] of this.#sessions) {
      const earliestMs = Math.min(deadlineMs, revokeDeadlineMs);
      if (earliestMs > nowMs) this.#nextMs = Math.min(this.#nextMs, earliestMs);
      else if (owed > 0) this.#nextMs = Math.min(this.#nextMs, nowMs + OWED_LOOK_MS);
      else overdue.push(memberId);
    }
    for (const memberId of overdue) this.#sessions.delete(memberId);
    return overdue;
  }

  #session(memberId: string): MemberSession {
    let session = this.#sessions.get(memberId);
    if (session === undefined) {
      session = {
        deadlineMs: Infinity,
        revokeDeadlineMs: Infinity,
        report: undefined,
        owed: 0,
        owedSinceMs: 0,
      };
      this.#sessions.set(memberId, session);
    }
    return session;
  }
}
