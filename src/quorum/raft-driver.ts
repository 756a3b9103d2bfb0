import { Deferred } from "../base/deferred.ts";
import { LograftError } from "../base/errors.ts";
import { Histogram } from "../base/histogram.ts";
import type { Logger } from "../base/logger.ts";
import { SerialQueue } from "../base/serial-queue.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import type { Platform } from "../platform/platform.ts";
import { RawNode } from "../raft/raw-node.ts";
import type { RawNodeOptions, RawNodeState } from "../raft/raw-node.ts";
import type {
  Entry,
  LogWrite,
  RaftMessage,
  RaftStatus,
  Ready,
  ReplicaId,
  SnapshotRead,
  SnapshotWrite,
} from "../raft/types.ts";
import { Applier } from "./applier.ts";
import type { DiskRoom } from "./disk-room.ts";
import { encodeMessage } from "./message-codec.ts";
import { wrapped } from "./quorum-error.ts";
import type { QuorumStateMachine } from "./quorum-types.ts";
import type { QuorumStorage } from "./quorum-storage.ts";
import type { RaftTransport } from "./raft-transport.ts";
import type { Foundation } from "./raft-store.ts";
import { OwnSnapshots } from "./own-snapshots.ts";

export interface RaftDriverOptions {
  readonly raw: RawNodeOptions;
  readonly snapshotAfterBytes: number;
  readonly keepEntries: number;
}

export interface RaftDriverDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  readonly storage: QuorumStorage;
  readonly room: DiskRoom;
  readonly stateMachine: QuorumStateMachine;
  readonly transport: RaftTransport | undefined;
  readonly addressOf: (id: ReplicaId) => PeerAddress | undefined;
}

/** What the driver tells its owner; all synchronous. */
export interface RaftDriverEvents {
  /** After each turn in which anything happened. */
  onTurn(): void;
  /** An entry was applied. */
  onEntry(entry: Entry): void;
  /** After each slice of entries and each restored snapshot. */
  onApplied(): void;
  /** Nothing more will be done: the disk or the state machine failed (H15). */
  onFailure(error: Error): void;
}

/** Chunks of snapshots that are being read for followers at the same time. */
const MAX_CHUNK_READS = 64;
/** Steps of the disk that may wait: Raft itself hands out one write and one chunk at a time. */
const MAX_DISK_STEPS = 16;

/**
 * Carries out what Raft decides. All input (messages, ticks, proposals, ends of disk writes) goes into the `RawNode` at
 * once and schedules one turn, so that a burst shares one write and one message for each follower. In the turn messages
 * leave at once, writes go to the one writer, committed entries are applied in slices (H2, H11).
 */
export class RaftDriver {
  readonly applier: Applier;
  /** How long durable writes of the log took, in seconds. */
  readonly writeDurations = new Histogram();
  readonly #options: RaftDriverOptions;
  readonly #deps: RaftDriverDeps;
  readonly #events: RaftDriverEvents;
  readonly #disk = new SerialQueue({ maxWaiting: MAX_DISK_STEPS });
  readonly #chunkReads = new SerialQueue({ maxWaiting: MAX_CHUNK_READS });
  readonly #reads = new Map<number, Deferred<number | undefined>>();
  readonly #stopping = new AbortController();
  readonly #ownSnapshots: OwnSnapshots;
  #raw: RawNode;
  #lastToken = 0;
  #isTurnDue = false;
  #isSliceDue = false;
  #failure: Error | undefined;

  constructor(options: RaftDriverOptions, deps: RaftDriverDeps, events: RaftDriverEvents) {
    this.#options = options;
    this.#deps = deps;
    this.#events = events;
    this.applier = new Applier({ clock: deps.platform.clock, stateMachine: deps.stateMachine });
    this.#raw = this.#newRaw(deps.storage.state);
    this.#ownSnapshots = new OwnSnapshots(options, {
      ...deps,
      applier: this.applier,
      onCreated: (description) => {
        if (this.isStopped) return;
        this.#raw.snapshotCreated(description, options.keepEntries);
        this.schedule();
      },
      status: () => this.status,
      onFailure: (error) => this.fail(error),
    });
  }

  get status(): RaftStatus {
    return this.#raw.status();
  }

  /** Failed or closed: nothing goes in or out any more. */
  get isStopped(): boolean {
    return this.#failure !== undefined || this.#stopping.signal.aborted;
  }

  /** Restores the newest snapshot and applies what is known to be committed. @throws METADATA_CORRUPT. */
  async recover(): Promise<void> {
    const { snapshot } = this.#deps.storage;
    if (snapshot !== undefined) {
      this.applier.restore(snapshot.description, snapshot.content);
      this.#raw.snapshotCreated(snapshot.description, 0);
    }
    this.#drain();
    while (!this.applier.isIdle && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#deps.platform.clock.defer(resolve);
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Gives input to Raft; what comes of it is carried out at the end of this turn of the loop. @throws what `input` throws
   * other than for a broken invariant, which stops the driver.
   */
  input<T>(input: (raw: RawNode) => T): T {
    try {
      return input(this.#raw);
    } catch (error: unknown) {
      this.fail(wrapped("Raft", error));
      throw error;
    } finally {
      this.schedule();
    }
  }

  /** Begins a cluster: the first entry becomes durable, and the log starts with it. The log must be empty. */
  async found(foundation: Foundation): Promise<void> {
    const { store } = this.#deps.storage;
    await store.found(foundation);
    this.#raw = this.#newRaw({
      hardState: store.hardState,
      snapshot: { index: 0, term: 0, voters: [] },
      entries: [foundation.entry],
    });
  }

  /** A linearizable read point; undefined when this node is not, or no more, the settled leader. */
  async readIndex(): Promise<number | undefined> {
    const token = ++this.#lastToken;
    const answer = new Deferred<number | undefined>();
    this.#reads.set(token, answer);
    try {
      if (!this.input((raw) => raw.readIndex(token))) return undefined;
      return await answer.promise;
    } finally {
      this.#reads.delete(token);
    }
  }

  /** Writes down, beside the store, what it must hold from now on at least. */
  mirror(): Promise<void> {
    return this.#ownSnapshots.mirror();
  }

  schedule(): void {
    if (this.#isTurnDue || this.isStopped) return;
    this.#isTurnDue = true;
    this.#deps.platform.clock.defer(() => {
      this.#isTurnDue = false;
      this.#drain();
    });
  }

  /** Stops for good: no more leading, no more voting (H15). */
  fail(error: Error): void {
    if (this.isStopped) return;
    this.#failure = error;
    this.#stop();
    this.#events.onFailure(error);
  }

  /** Finishes what is being written. Idempotent. */
  async close(): Promise<void> {
    this.#stop();
    await this.#disk.close();
    await this.#chunkReads.close();
    await this.#ownSnapshots.close();
    if (this.#failure !== undefined) return;
    await this.mirror().catch((error: unknown) => {
      // The mirror then tells of an earlier time, which it may.
      this.#deps.logger.warn("the metadata mirror could not be written", { err: error });
    });
  }

  #stop(): void {
    this.#stopping.abort(this.#failure);
    for (const read of this.#reads.values()) read.resolve(undefined);
  }

  #newRaw(state: RawNodeState): RawNode {
    const { random } = this.#deps.platform;
    return new RawNode(this.#options.raw, state, { random: (maxExclusive) => random.below(maxExclusive) });
  }

  #drain(): void {
    if (this.isStopped) return;
    try {
      for (let ready = this.#raw.ready(); ready !== undefined; ready = this.#raw.ready())
        this.#carryOut(ready);
      if (!this.#isSliceDue) this.#applySlice();
    } catch (error: unknown) {
      this.fail(wrapped("Raft", error));
      return;
    }
    this.#events.onTurn();
  }

  #carryOut(ready: Ready): void {
    for (const message of ready.messages) this.#send(message);
    const { write, snapshotWrite } = ready;
    if (write !== undefined) this.#onDisk(() => this.#write(write));
    if (snapshotWrite !== undefined) this.#onDisk(() => this.#receive(snapshotWrite));
    this.applier.push(ready.committed);
    for (const read of ready.snapshotReads) this.#sendChunk(read);
    for (const { token, index } of ready.readStates) this.#reads.get(token)?.resolve(index);
  }

  #applySlice(): void {
    if (this.applier.isIdle) return;
    this.applier.runSlice((entry) => this.#events.onEntry(entry));
    this.#events.onApplied();
    this.#ownSnapshots.takeIfDue();
    this.#ownSnapshots.mirrorVoters();
    if (this.applier.isIdle) return;
    this.#isSliceDue = true;
    this.#deps.platform.clock.defer(() => {
      this.#isSliceDue = false;
      this.#drain();
    });
  }

  #send(message: RaftMessage): void {
    const address = this.#deps.addressOf(message.to);
    // Without an address nothing can be done: it is known when the replica says hello or asks for the log.
    if (address !== undefined) this.#deps.transport?.send(address, encodeMessage(message));
  }

  /** A step of the one writer; its failure is the node's. */
  #onDisk(step: () => Promise<void>): void {
    this.#disk.run(step).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.fail(wrapped("the metadata could not be written", error));
    });
  }

  async #write(write: LogWrite): Promise<void> {
    const { room, storage, platform } = this.#deps;
    const startMs = platform.clock.monotonicMs();
    await room.admit(sizeOf(write), this.#stopping.signal);
    await storage.store.write(write);
    this.writeDurations.observeMs(platform.clock.monotonicMs() - startMs);
    room.keep();
    if (!this.isStopped) this.input((raw) => raw.written());
  }

  async #receive({ request, isLast }: SnapshotWrite): Promise<void> {
    const { storage, room, logger } = this.#deps;
    const { snapshot } = request;
    await room.admit(request.data.byteLength, this.#stopping.signal);
    await storage.snapshots.receive(request);
    if (!isLast) {
      if (!this.isStopped) this.input((raw) => raw.snapshotChunkWritten(request));
      return;
    }
    const installed = await storage.snapshots.install(snapshot);
    if (installed === undefined) {
      logger.warn("a received metadata snapshot is damaged; it is asked for again", {
        offset: snapshot.index,
      });
      if (!this.isStopped) this.input((raw) => raw.snapshotDamaged());
      return;
    }
    await storage.store.recordSnapshot(snapshot);
    if (this.isStopped) return;
    this.applier.restore(snapshot, installed.content);
    this.input((raw) => raw.snapshotInstalled(snapshot));
    this.#events.onApplied();
    logger.info("metadata snapshot installed", { offset: snapshot.index, epoch: snapshot.term });
    await storage.snapshots.removeBefore(snapshot.index);
    await this.#ownSnapshots.mirror();
  }

  #sendChunk({ request, maxBytes }: SnapshotRead): void {
    const { snapshots } = this.#deps.storage;
    const read = this.#chunkReads.run(async () => {
      const data = await snapshots.readChunk(request.snapshot, request.position, maxBytes);
      // Gone: a later snapshot took its place, and Raft will ask for that.
      if (data !== undefined && !this.isStopped) this.#send({ ...request, data });
    });
    read.catch((error: unknown) => {
      // Raft asks again when no answer comes.
      if (error instanceof LograftError) {
        this.#deps.logger.warn("a part of a snapshot could not be read", { err: error });
      } else if (!this.#stopping.signal.aborted) {
        this.fail(wrapped("a snapshot could not be read", error));
      }
    });
  }
}

function sizeOf(write: LogWrite): number {
  return write.entries.reduce((sum, { data }) => sum + data.byteLength, 0);
}
