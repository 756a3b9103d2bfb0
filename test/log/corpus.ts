import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../corpus/kafka-segments/", import.meta.url));

/** The partition directories that Apache Kafka 4.3.0 wrote. */
export const corpusPartitions: readonly string[] = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort();

export function corpusPath(name: string): string {
  return ROOT + name;
}

export function corpusFile(name: string): Buffer {
  return readFileSync(ROOT + name);
}

/** Files of one partition directory with this extension (or this very name). */
export function corpusFiles(partition: string, ending: string): readonly string[] {
  return readdirSync(ROOT + partition)
    .filter((name) => name.endsWith(ending))
    .map((name) => `${partition}/${name}`);
}

/** The sections of Kafka's own dump: heading ("indexed-0/0...0.index") to lines. */
export function corpusDump(file: "batches.txt" | "indexes.txt"): ReadonlyMap<string, readonly string[]> {
  const sections = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of corpusFile(file).toString("utf8").split("\n")) {
    if (line.startsWith("# ")) sections.set(line.slice(2), (lines = []));
    else if (line !== "") lines.push(line);
  }
  return sections;
}
