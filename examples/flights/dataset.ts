import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, sep } from "node:path";

/** A row as it travels: keyed by the flight's distance, so that flights of one route length keep their order. */
export interface Flight {
  readonly key: string;
  readonly value: string;
}

/** The 200,000 rows of the flights data set in the npm package vega-datasets (US Bureau of Transportation Statistics). */
export async function loadFlights(): Promise<readonly Flight[]> {
  // The package exports its code only; its data lie beside it.
  const entry = createRequire(import.meta.url).resolve("vega-datasets");
  const name = `${sep}vega-datasets${sep}`;
  const root = entry.slice(0, entry.lastIndexOf(name) + name.length);
  const path = join(root, "data", "flights-200k.json");
  const rows = JSON.parse(await readFile(path, "utf8")) as readonly {
    delay: number;
    distance: number;
    time: number;
  }[];
  return rows.map((row) => ({ key: String(row.distance), value: JSON.stringify(row) }));
}

/**
 * A digest of keyed records that is equal exactly when every key has the same values in the same order. It does not
 * depend on how keys interleave, because a log keeps the order of a partition, not of a topic.
 */
export class KeyedDigest {
  readonly #byKey = new Map<string, { readonly hash: ReturnType<typeof createHash>; count: number }>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get keyCount(): number {
    return this.#byKey.size;
  }

  add(key: string, value: string): void {
    let entry = this.#byKey.get(key);
    if (entry === undefined) {
      entry = { hash: createHash("sha256"), count: 0 };
      this.#byKey.set(key, entry);
    }
    entry.hash.update(value).update("\n");
    entry.count++;
    this.#count++;
  }

  /** Hex; the digest of what was added so far. */
  value(): string {
    const all = createHash("sha256");
    for (const key of [...this.#byKey.keys()].toSorted()) {
      const entry = this.#byKey.get(key);
      if (entry !== undefined) all.update(`${key} ${entry.count} ${entry.hash.copy().digest("hex")}\n`);
    }
    return all.digest("hex");
  }
}
