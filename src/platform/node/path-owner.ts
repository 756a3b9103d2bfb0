import { statSync } from "node:fs";
import { dirname } from "node:path";

/** Who owns a file or directory, and how it may be used. */
export interface PathOwner {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  /** The permission bits, such as 0o750. */
  readonly mode: number;
  readonly isDirectory: boolean;
}

/** The owner of `path`, or, while it does not exist, of the nearest directory above it; undefined when nobody says. */
export function ownerOf(path: string): PathOwner | undefined {
  for (let at = path; ; at = dirname(at)) {
    try {
      const stats = statSync(at);
      const { uid, gid, mode } = stats;
      return { path: at, uid, gid, mode: mode & 0o777, isDirectory: stats.isDirectory() };
    } catch {
      // It is not there, or the directory that it is in does not tell.
      if (at === dirname(at)) return undefined;
    }
  }
}

/** "user 0, group 0 (mode 755)". */
export function shownOwner({ uid, gid, mode }: PathOwner): string {
  return `user ${uid}, group ${gid} (mode ${mode.toString(8)})`;
}

/**
 * What to do when the system refuses this process a path: who owns it, who this process is, and which command brings the
 * two together. Undefined where there are no users. Looks at the file system at once, for it is on the way to an end.
 */
export function accessAdvice(path: string, syscall: string): string | undefined {
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  const found = ownerOf(path);
  if (uid === undefined || gid === undefined || found === undefined) return undefined;
  const mine = `${uid}:${gid}`;
  const who = `${found.path} belongs to ${shownOwner(found)} and this process is user ${uid}, group ${gid}`;
  if (found.uid === uid) return `${who}; let its owner use it: chmod -R u+rwX ${found.path}`;
  if (syscall === "mkdir" && found.path !== path) {
    return `${who}; as root make the directory for it: mkdir -p ${path} && chown ${mine} ${path}`;
  }
  const directory = found.isDirectory ? found.path : dirname(found.path);
  const runAs = found.uid === 0 ? "" : `, or run as its owner (compose: user: "${found.uid}:${found.gid}")`;
  return `${who}; as root: chown -R ${mine} ${directory}${runAs}`;
}
