import type { Leadership } from "./leadership.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import type { SnapshotTransfer } from "./snapshot-transfer.ts";

/**
 * Sends to everybody what they lack and may get now. Called once for all that was proposed since the last time: that is
 * what puts many proposals into one request.
 */
export function replicate(raft: Raft, leadership: Leadership): void {
  if (leadership.reads.isRoundDue) {
    leadership.reads.beginRound();
    sendHeartbeats(raft, leadership);
  }
  for (const progress of leadership.followers) replicateTo(raft, leadership, progress);
}

/** A heartbeat to everybody, of the present round. It commits only what its receiver is known to have (H4). */
export function sendHeartbeats(raft: Raft, leadership: Leadership): void {
  for (const { id, matchIndex } of leadership.followers) {
    raft.outbox.send({
      type: "HeartbeatRequest",
      ...raft.envelope(id),
      commit: Math.min(matchIndex, raft.log.commit),
      round: leadership.reads.round,
    });
  }
}

/** A follower answered a heartbeat: what it should have answered before may be lost. */
export function resend(raft: Raft, leadership: Leadership, progress: Progress): void {
  const { now, limits } = leadership;
  switch (progress.retry(now)) {
    case "tail":
      sendAppend(raft, leadership, progress, 0);
      break;
    case "chunk":
      resendChunk(raft, leadership, progress, limits.electionTicks);
      break;
    case "probe":
    case undefined:
      break;
  }
}

/** The next chunk of a snapshot for this follower: the driver reads it and sends it. */
export function sendChunk(
  raft: Raft,
  leadership: Leadership,
  progress: Progress,
  transfer: SnapshotTransfer,
): void {
  transfer.sent(leadership.now);
  const { snapshot, position } = transfer;
  raft.outbox.readSnapshot({
    request: { type: "SnapshotRequest", ...raft.envelope(progress.id), snapshot, position },
    maxBytes: raft.options.snapshotChunkBytes,
  });
}

function replicateTo(raft: Raft, leadership: Leadership, progress: Progress): void {
  const { log, options } = raft;
  while (progress.canSend) {
    const isBehind = progress.nextIndex <= log.lastIndex;
    const isCommitNews = log.commit > progress.sentCommit;
    // A probe is a question and may be empty; later an empty request is worth sending only for the commit index.
    if (progress.state !== "probe" && !isBehind && !isCommitNews) return;
    const isSent = sendAppend(raft, leadership, progress, options.maxAppendBytes);
    if (!isSent || !isBehind) return;
  }
}

/** One append request; `maxBytes` 0: without entries. Where its entries are gone, a snapshot begins instead: false. */
function sendAppend(raft: Raft, leadership: Leadership, progress: Progress, maxBytes: number): boolean {
  const { log } = raft;
  const prevIndex = progress.nextIndex - 1;
  const prevTerm = log.termAt(prevIndex);
  if (prevTerm === undefined) {
    beginSnapshot(raft, leadership, progress);
    return false;
  }
  const entries = maxBytes === 0 ? [] : log.slice(prevIndex + 1, maxBytes);
  raft.outbox.send({
    type: "AppendRequest",
    ...raft.envelope(progress.id),
    prevIndex,
    prevTerm,
    entries,
    commit: log.commit,
  });
  progress.sent(prevIndex + entries.length, log.commit, leadership.now);
  return true;
}

function beginSnapshot(raft: Raft, leadership: Leadership, progress: Progress): void {
  // Right after a start the driver may not have named the snapshot yet; the follower waits until it does.
  if (raft.snapshot === undefined) return;
  sendChunk(raft, leadership, progress, progress.beginSnapshot(raft.snapshot, leadership.now));
}

function resendChunk(raft: Raft, leadership: Leadership, progress: Progress, electionTicks: number): void {
  const { transfer } = progress;
  if (transfer === undefined) return;
  const newest = raft.snapshot;
  const isReplaced = newest !== undefined && newest.index > transfer.snapshot.index;
  if (isReplaced && transfer.isStalled(leadership.now, electionTicks)) {
    beginSnapshot(raft, leadership, progress);
  } else {
    sendChunk(raft, leadership, progress, transfer);
  }
}
