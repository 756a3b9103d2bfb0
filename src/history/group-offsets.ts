import type { CheckContext } from "./check-context.ts";
import type { CommitOfKey, FetchOfKey, GroupHistory } from "./group-history.ts";
import { at } from "./key-history.ts";

interface TimedCommit extends CommitOfKey {
  readonly invokedAt: number;
  readonly completedAt: number;
  readonly isOk: boolean;
}

/**
 * The committed offset of a group and key is a register whose reads name their write by its uid. A read that finds
 * nothing after an acknowledged commit: lost-commit. One that names a commit that nobody made, or that certainly failed:
 * phantom-commit. One that names a commit which another, begun after it had ended and ended before the read began, had
 * replaced: commit-regress. A number where nobody ever committed: zero-offset.
 */
export function checkGroupOffsets(context: CheckContext, group: GroupHistory): void {
  for (const [key, fetches] of group.fetches) {
    const commits = timed(context, group.commits.get(key) ?? []);
    const register = new Register(commits);
    for (const fetch of fetches) checkFetch(context, group, key, fetch, register);
  }
}

function timed({ history }: CheckContext, commits: readonly CommitOfKey[]): TimedCommit[] {
  const { operations } = history;
  return commits.map((commit) => ({
    ...commit,
    invokedAt: at(operations.invokedAt, commit.operation),
    completedAt: at(operations.completedAt, commit.operation),
    isOk: operations.isOk(commit.operation),
  }));
}

/** The commits of one key, to be asked in the order of time. */
class Register {
  readonly byUid: ReadonlyMap<string, TimedCommit>;
  readonly commits: readonly TimedCommit[];
  /** Acknowledged ones by their end, and of each prefix the one that began last. */
  readonly #ended: readonly TimedCommit[];
  readonly #latestBegun: readonly TimedCommit[];

  constructor(commits: readonly TimedCommit[]) {
    this.commits = commits;
    this.byUid = new Map(commits.map((commit) => [commit.uid, commit]));
    this.#ended = commits.filter(({ isOk }) => isOk).toSorted((a, b) => a.completedAt - b.completedAt);
    let latest: TimedCommit | undefined;
    this.#latestBegun = this.#ended.map((commit) => {
      if (latest === undefined || commit.invokedAt > latest.invokedAt) latest = commit;
      return latest;
    });
  }

  /** Of the acknowledged commits that had ended before `time`, the one that began last. */
  latestBefore(time: number): TimedCommit | undefined {
    let low = 0;
    let high = this.#ended.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ended[middle]?.completedAt ?? Infinity) < time) low = middle + 1;
      else high = middle;
    }
    return this.#latestBegun[low - 1];
  }
}

function checkFetch(
  { history, findings }: CheckContext,
  group: GroupHistory,
  key: string,
  fetch: FetchOfKey,
  register: Register,
): void {
  const { operations } = history;
  const what = (): string => `${operations.describe(fetch.operation)}: ${group.name} ${key}`;
  const before = register.latestBefore(at(operations.invokedAt, fetch.operation));
  if (fetch.offset < 0) {
    if (before === undefined) return;
    findings.add(
      "lost-commit",
      () => `${what()} has no offset, and ${before.uid} (${before.offset}) was acknowledged`,
    );
    return;
  }
  const endedAt = at(operations.completedAt, fetch.operation);
  if (!register.commits.some(({ invokedAt }) => invokedAt < endedAt)) {
    findings.add("zero-offset", () => `${what()} is at ${fetch.offset}, and nobody had committed anything`);
    return;
  }
  const named = register.byUid.get(fetch.uid);
  if (
    named === undefined ||
    named.offset !== fetch.offset ||
    named.invokedAt >= endedAt ||
    operations.outcome(named.operation) === "fail"
  ) {
    const why = named === undefined ? "nobody committed" : "did not commit so";
    findings.add(
      "phantom-commit",
      () => `${what()} is at ${fetch.offset} by ${JSON.stringify(fetch.uid)}, which ${why}`,
    );
    return;
  }
  if (before === undefined || before.invokedAt <= named.completedAt) return;
  findings.add(
    "commit-regress",
    () =>
      `${what()} is at ${fetch.offset} (${named.uid}) after ${before.uid} (${before.offset}) had replaced it`,
  );
}
