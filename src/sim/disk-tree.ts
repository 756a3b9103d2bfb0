import type { CrashPolicy, PendingName } from "./crash-policy.ts";
import { applyNames, DirectoryNode, FileNode, isSharingName } from "./disk-nodes.ts";
import type { DiskNode, EntryChange, NameChange } from "./disk-nodes.ts";

/** A failed system call, before it is wrapped with its path. */
export class ErrnoError extends Error {
  readonly errno: string;

  constructor(errno: string) {
    super(errno);
    this.name = "ErrnoError";
    this.errno = errno;
  }
}

/** A name and the directory it is looked up in. */
export interface Place {
  readonly directory: DirectoryNode;
  readonly name: string;
}

/** The names of a simulated disk: as the process sees them, as the medium has them, and the changes between the two. */
export class DiskTree {
  readonly root = new DirectoryNode();
  #changes: NameChange[] = [];
  #usedBytes = 0;

  /** Sum of the sizes of all files that have a name or an open handle. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get pending(): PendingName[] {
    return this.#changes.map((change) => change.pending);
  }

  /** What the process sees at `path`. @throws ErrnoError ENOTDIR when the way there leads through a file. */
  find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.root;
    for (const name of pathNames(path)) {
      if (node === undefined) return undefined;
      if (!node.isDirectory) throw new ErrnoError("ENOTDIR");
      node = node.entries.get(name);
    }
    return node;
  }

  /** @throws ErrnoError ENOENT, ENOTDIR */
  directory(path: string): DirectoryNode {
    const node = this.find(path);
    if (node === undefined) throw new ErrnoError("ENOENT");
    if (!node.isDirectory) throw new ErrnoError("ENOTDIR");
    return node;
  }

  /** Where `path` is or would be. @throws ErrnoError ENOENT, ENOTDIR for its parent; EBUSY for the root. */
  place(path: string): Place {
    const names = pathNames(path);
    const name = names.pop();
    if (name === undefined) throw new ErrnoError("EBUSY");
    return { directory: this.directory(names.join("/")), name };
  }

  /** Changes names as the process sees them; the medium follows at a sync of the directory. */
  change(pending: PendingName, entries: readonly EntryChange[]): void {
    const before = entries.map(({ directory, name }) => directory.entries.get(name));
    for (const { node } of entries) if (node instanceof FileNode) node.links += 1;
    const change = { pending, entries };
    applyNames(change, (directory) => directory.entries);
    for (const node of before) {
      if (!(node instanceof FileNode)) continue;
      node.links -= 1;
      this.releaseIfUnused(node);
    }
    this.#changes.push(change);
  }

  /** Takes the space of a file that grew (or gives back what it lost, when negative). */
  resized(byBytes: number): void {
    this.#usedBytes += byBytes;
  }

  /** Gives back the space of a file without name and handle. */
  releaseIfUnused(node: FileNode): void {
    if (node.links === 0 && node.handles === 0) this.#usedBytes -= node.cache.sizeBytes;
  }

  /**
   * Makes the names in `directory` durable, as far as they were changed up to `sequence`, and with them whatever
   * happened earlier to the same names: the other side of a rename, the creation of what was renamed.
   */
  sync(directory: DirectoryNode, sequence: number): void {
    const committed: NameChange[] = [];
    for (const change of this.#changes.toReversed()) {
      const isHere = change.entries.some((entry) => entry.directory === directory);
      const isAsked = isHere && change.pending.sequence <= sequence;
      if (isAsked || committed.some((later) => isSharingName(change, later))) committed.push(change);
    }
    for (const change of committed.toReversed()) applyNames(change, (at) => at.mediumEntries);
    const done = new Set(committed);
    this.#changes = this.#changes.filter((change) => !done.has(change));
  }

  /** The tree that a power cut leaves, everything in it durable. This one is not changed. */
  afterCrash(policy: CrashPolicy): DiskTree {
    const entries = this.#entriesAfterCrash(policy);
    const tree = new DiskTree();
    const files = new Map<FileNode, FileNode>();
    const copyFile = (node: FileNode): FileNode => {
      const known = files.get(node);
      if (known !== undefined) return known;
      const copy = new FileNode(node.afterCrash(policy));
      files.set(node, copy);
      tree.resized(copy.cache.sizeBytes);
      return copy;
    };
    const copyInto = (target: DirectoryNode, source: DirectoryNode): void => {
      for (const [name, node] of entries.get(source) ?? source.mediumEntries) {
        const copy = node.isDirectory ? new DirectoryNode() : copyFile(node);
        if (copy.isDirectory && node.isDirectory) copyInto(copy, node);
        if (!copy.isDirectory) copy.links += 1;
        target.entries.set(name, copy);
        target.mediumEntries.set(name, copy);
      }
    };
    copyInto(tree.root, this.root);
    return tree;
  }

  /** All files that have a name, by path, sorted. */
  files(): Map<string, FileNode> {
    const found: [string, FileNode][] = [];
    const walk = (directory: DirectoryNode, prefix: string): void => {
      for (const [name, node] of directory.entries) {
        if (node.isDirectory) walk(node, `${prefix}${name}/`);
        else found.push([prefix + name, node]);
      }
    };
    walk(this.root, "/");
    return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #entriesAfterCrash(policy: CrashPolicy): Map<DirectoryNode, Map<string, DiskNode>> {
    const entries = new Map<DirectoryNode, Map<string, DiskNode>>();
    const entriesOf = (directory: DirectoryNode): Map<string, DiskNode> => {
      const known = entries.get(directory) ?? new Map(directory.mediumEntries);
      entries.set(directory, known);
      return known;
    };
    const lost: NameChange[] = [];
    for (const change of this.#changes) {
      if (lost.some((earlier) => isSharingName(earlier, change)) || !policy.isKept(change.pending)) {
        lost.push(change);
      } else {
        applyNames(change, entriesOf);
      }
    }
    return entries;
  }
}

/** The one form of a path on a simulated disk, whose working directory is its root: "/a/b". */
export function normalizePath(path: string): string {
  return `/${pathNames(path).join("/")}`;
}

function pathNames(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return names;
}
