import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { randomTopicId, UUID_BYTES } from "../model/ids.ts";
import { parentOf } from "../platform/atomic-file.ts";
import type { Platform } from "../platform/platform.ts";
import type { RawNodeState } from "../raft/raw-node.ts";
import type { VoterSet } from "../raft/types.ts";
import { corruptError } from "./quorum-error.ts";
import type { QuorumOptions } from "./quorum-types.ts";
import { RaftStore } from "./raft-store.ts";
import type { StoreContent } from "./raft-store.ts";
import { ReplicaMirror } from "./replica-mirror.ts";
import type { MirrorContent } from "./replica-mirror.ts";
import { parseReplicaId } from "./replica-id.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import type { LoadedSnapshot } from "./snapshot-store.ts";
import type { StoreIdentity } from "./store-format.ts";

/** What a replica has on its disk, open and verified. */
export interface QuorumStorage {
  readonly store: RaftStore;
  readonly snapshots: SnapshotStore;
  readonly mirror: ReplicaMirror;
  readonly identity: StoreIdentity;
  readonly state: RawNodeState;
  /** The newest snapshot's. */
  readonly snapshot: LoadedSnapshot | undefined;
  /** Voters remembered from the last time the mirror was written: whom to ask. */
  readonly knownVoters: VoterSet;
}

interface StorageDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  /** Whether there is a way to other nodes at all. */
  readonly hasTransport: boolean;
}

const MAX_SET_ASIDE = 1000;
const RESTORE = "Put the whole data directory back from a backup, or start with an empty one";

/**
 * Opens a replica's store, snapshots and mirror and holds them against each other. Lost or damaged state is set aside
 * under another name and the replica begins anew with another directory id, because it must not vote with less than it
 * promised (H16); where no other node can give it the log back, nothing is touched.
 * @throws LograftError METADATA_CORRUPT, CONFIG_INVALID (a store of another node id), DATA_DIR_LOCKED, DISK_*.
 */
export async function openStorage(options: QuorumOptions, deps: StorageDeps): Promise<QuorumStorage> {
  const opener = new StorageOpener(options, deps);
  try {
    return await opener.open();
  } catch (error: unknown) {
    if (!isDamage(error)) throw error;
    return opener.beginAnew(error);
  }
}

class StorageOpener {
  readonly #options: QuorumOptions;
  readonly #deps: StorageDeps;
  readonly #storePath: string;
  readonly #snapshotsPath: string;
  readonly #snapshots: SnapshotStore;
  readonly #mirror: ReplicaMirror;
  /** As far as it could be read. */
  #mirrored: MirrorContent | undefined;

  constructor(options: QuorumOptions, deps: StorageDeps) {
    const { disk } = deps.platform;
    const { directory } = options;
    this.#options = options;
    this.#deps = deps;
    this.#storePath = `${directory}/store`;
    this.#snapshotsPath = `${directory}/snapshots`;
    this.#snapshots = new SnapshotStore({ directory: this.#snapshotsPath }, { disk });
    this.#mirror = new ReplicaMirror({ directory }, { disk });
  }

  async open(): Promise<QuorumStorage> {
    const { platform } = this.#deps;
    await platform.disk.makeDir(this.#options.directory);
    const parsed = await this.#mirror.read();
    if (parsed?.ok === false)
      throw this.#damage(`the file ${this.#mirror.path} is damaged: ${parsed.reason}`);
    this.#mirrored = parsed?.value;
    const exists = await platform.hasKeyValue(this.#storePath);
    if (!exists && this.#isExpected) throw this.#damage(`the store ${this.#storePath} is missing`);
    const raw = await platform.openKeyValue(this.#storePath);
    try {
      const { store, content } = await RaftStore.load(this.#storePath, raw);
      if (content === undefined && this.#isExpected)
        throw this.#damage(`the store ${this.#storePath} is empty`);
      return await this.#opened(store, content);
    } catch (error: unknown) {
      await raw.close();
      throw error;
    }
  }

  /** After damage. The order leaves, wherever it is cut off, what the next start takes for damage again. */
  async beginAnew(cause: LograftError): Promise<QuorumStorage> {
    const { platform, logger } = this.#deps;
    if (!this.#canLearn) {
      const text = `${cause.message}; nothing was changed or deleted, and no other node has the metadata. ${RESTORE}`;
      throw corruptError(text, cause.context, cause);
    }
    const number = await this.#freeNumber();
    const aside = (path: string): string => `${path}.damaged-${number}`;
    const directoryId = this.#newDirectoryId();
    logger.error(
      "the metadata of this node cannot be trusted: it is set aside and fetched again from the other nodes",
      {
        err: cause,
        setAside: aside(this.#storePath),
        newDirectoryId: directoryId,
        ...cause.context,
      },
    );
    const { disk } = platform;
    if (await platform.hasKeyValue(this.#storePath))
      await platform.moveKeyValue(this.#storePath, aside(this.#storePath));
    if ((await disk.stat(this.#snapshotsPath)) !== undefined) {
      await disk.rename(this.#snapshotsPath, aside(this.#snapshotsPath));
      await disk.syncDir(this.#options.directory);
    }
    const clusterId = this.#options.clusterId ?? this.#mirrored?.identity.clusterId;
    const raw = await platform.openKeyValue(this.#storePath);
    try {
      const { store } = await RaftStore.load(this.#storePath, raw);
      return await this.#created(store, { nodeId: this.#options.nodeId, directoryId, clusterId });
    } catch (error: unknown) {
      await raw.close();
      throw error;
    }
  }

  /** Something says that this node had a store. */
  get #isExpected(): boolean {
    return this.#mirrored !== undefined || this.#options.clusterId !== undefined;
  }

  get #canLearn(): boolean {
    const { nodeId, foundingVoters, bootstrapServers } = this.#options;
    if (!this.#deps.hasTransport) return false;
    const voters = this.#mirrored?.voters ?? [];
    const others = voters.filter(({ id }) => parseReplicaId(id)?.nodeId !== nodeId);
    // The mirror knows: it was the only voter, so the others have no more than it had.
    if (voters.length > 0) return others.length > 0;
    return bootstrapServers.length > 0 || foundingVoters.some((voter) => voter.nodeId !== nodeId);
  }

  async #opened(store: RaftStore, content: StoreContent | undefined): Promise<QuorumStorage> {
    if (content === undefined) {
      const directoryId = this.#newDirectoryId();
      return this.#created(store, { nodeId: this.#options.nodeId, directoryId, clusterId: undefined });
    }
    const { identity, hardState, entries } = content;
    this.#checkIdentity(identity);
    this.#checkMirror(store, content);
    const { index } = content.snapshot;
    const snapshot = index === 0 ? undefined : await this.#snapshots.load(content.snapshot);
    // Only now: where anything is damaged, nothing is removed.
    await this.#snapshots.prepare(content.snapshot);
    const voters = snapshot?.description.voters ?? [];
    const state = { hardState, snapshot: { ...content.snapshot, voters }, entries };
    if (this.#mirrored === undefined) await this.#mirror.write(() => unborn(identity, []));
    const knownVoters = this.#mirrored?.voters ?? [];
    return { ...this.#parts, store, identity, state, snapshot, knownVoters };
  }

  async #created(store: RaftStore, identity: StoreIdentity): Promise<QuorumStorage> {
    await this.#snapshots.prepare({ index: 0, term: 0 });
    const { disk } = this.#deps.platform;
    await disk.syncDir(this.#options.directory);
    await disk.syncDir(parentOf(this.#options.directory));
    const knownVoters = this.#mirrored?.voters ?? [];
    await store.create(identity);
    await this.#mirror.write(() => unborn(identity, knownVoters));
    const state: RawNodeState = {
      hardState: store.hardState,
      snapshot: { index: 0, term: 0, voters: [] },
      entries: [],
    };
    return { ...this.#parts, store, identity, state, snapshot: undefined, knownVoters };
  }

  get #parts(): Pick<QuorumStorage, "snapshots" | "mirror"> {
    return { snapshots: this.#snapshots, mirror: this.#mirror };
  }

  #checkIdentity(identity: StoreIdentity): void {
    const { nodeId, clusterId, directory } = this.#options;
    if (identity.nodeId !== nodeId) {
      throw operationError(
        "CONFIG_INVALID",
        `${directory} belongs to node ${identity.nodeId}, and this is node ${nodeId}; give the node its own directory or its old id`,
        { context: { directory, found: identity.nodeId, configured: nodeId } },
      );
    }
    if (clusterId !== undefined && identity.clusterId !== undefined && identity.clusterId !== clusterId) {
      throw operationError(
        "CONFIG_INVALID",
        `${directory} belongs to cluster ${identity.clusterId}, the data beside it to ${clusterId}; nothing was changed. ${RESTORE}`,
        { context: { directory, found: identity.clusterId, expected: clusterId } },
      );
    }
    if (clusterId !== undefined && identity.clusterId === undefined) {
      throw this.#damage(`the store ${this.#storePath} does not know of cluster ${clusterId}`);
    }
  }

  #checkMirror(store: RaftStore, content: StoreContent): void {
    const mirrored = this.#mirrored;
    const { path } = this.#mirror;
    const { hardState, snapshot, entries, identity } = content;
    if (mirrored === undefined) {
      // Only between the making of a store and the first writing of its mirror.
      const isUnborn = hardState.term === 0 && snapshot.index === 0 && entries.length === 0;
      if (!isUnborn) throw this.#damage(`the file ${path} is missing`);
      return;
    }
    const expected = mirrored.identity;
    if (expected.nodeId !== identity.nodeId || expected.directoryId !== identity.directoryId) {
      throw this.#damage(`the store ${this.#storePath} is not the one that ${path} tells of`);
    }
    if (expected.clusterId !== undefined && expected.clusterId !== identity.clusterId) {
      throw this.#damage(`the store ${this.#storePath} does not know of cluster ${expected.clusterId}`);
    }
    const isShort = store.last.index < mirrored.index || hardState.term < mirrored.term;
    const isOther = mirrored.index >= snapshot.index && store.termAt(mirrored.index) !== mirrored.indexTerm;
    if (isShort || isOther) {
      throw this.#damage(
        `the store ${this.#storePath} ends at entry ${store.last.index}, term ${hardState.term}; ` +
          `${path} tells of entry ${mirrored.index}, term ${mirrored.term}`,
      );
    }
  }

  #damage(what: string): LograftError {
    return corruptError(`the metadata cannot be trusted: ${what}`, { directory: this.#options.directory });
  }

  #newDirectoryId(): string {
    return randomTopicId(this.#deps.platform.random.bytes(UUID_BYTES));
  }

  async #freeNumber(): Promise<number> {
    const { platform } = this.#deps;
    for (let number = 1; number < MAX_SET_ASIDE; number++) {
      const hasStore = await platform.hasKeyValue(`${this.#storePath}.damaged-${number}`);
      const snapshots = await platform.disk.stat(`${this.#snapshotsPath}.damaged-${number}`);
      if (!hasStore && snapshots === undefined) return number;
    }
    throw corruptError(
      `${MAX_SET_ASIDE} damaged stores are in ${this.#options.directory}; remove old ones`,
      {},
    );
  }
}

function unborn(identity: StoreIdentity, voters: VoterSet): MirrorContent {
  return { identity, term: 0, index: 0, indexTerm: 0, voters };
}

/** Our own findings, and LevelDB's. */
function isDamage(error: unknown): error is LograftError {
  if (!(error instanceof LograftError)) return false;
  if (error.code === "METADATA_CORRUPT" || error.context["reason"] === "LEVEL_CORRUPTION") return true;
  const { cause } = error;
  return (
    error.code === "DISK_READ_FAILED" &&
    cause instanceof Error &&
    errorMessage(cause).startsWith("Corruption")
  );
}
