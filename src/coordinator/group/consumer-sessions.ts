/** What this term knows of a member that no record says. */
interface MemberSession {
  deadlineMs: number;
  /** Until when it must have given up what it was told to; Infinity while there is nothing. */
  revokeDeadlineMs: number;
  report: RevocationReport | undefined;
}

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
    for (const [memberId, { deadlineMs, revokeDeadlineMs }] of this.#sessions) {
      const earliestMs = Math.min(deadlineMs, revokeDeadlineMs);
      if (earliestMs <= nowMs) overdue.push(memberId);
      else this.#nextMs = Math.min(this.#nextMs, earliestMs);
    }
    for (const memberId of overdue) this.#sessions.delete(memberId);
    return overdue;
  }

  #session(memberId: string): MemberSession {
    let session = this.#sessions.get(memberId);
    if (session === undefined) {
      session = { deadlineMs: Infinity, revokeDeadlineMs: Infinity, report: undefined };
      this.#sessions.set(memberId, session);
    }
    return session;
  }
}
