import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Metric } from "../../src/model/metric.ts";
import { KAFKA_METRICS, METRICS } from "../../src/model/metric-table.ts";

const root = join(import.meta.dirname, "..", "..");
const all: readonly (readonly [string, Metric])[] = [
  ...Object.entries<Metric>(METRICS),
  ...Object.entries<Metric>(KAFKA_METRICS),
];
/** Names of other things that look like those of metrics. */
const OTHERS: ReadonlySet<string> = new Set(["kafka_exporter"]);

/** What a query may name: samples, and the bare name of a histogram where a text speaks of it. */
const known: ReadonlySet<string> = new Set(
  all.flatMap(([name, metric]) => [name, ...sampleNames(name, metric)]),
);

/** The samples of a histogram carry one of three endings. */
function sampleNames(name: string, { type }: Metric): readonly string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function filesUnder(folder: string, endings: readonly string[]): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => join(folder, name))
    .sort();
}

/** Names in a text that no metric has. */
function strangers(text: string, pattern: RegExp): string[] {
  const names = Array.from(text.matchAll(pattern), ([, name = ""]) => name);
  return [...new Set(names)].filter((name) => !known.has(name) && !OTHERS.has(name));
}

describe("the table", () => {
  test("keeps to the names of Prometheus", () => {
    for (const [name, { type, labels, help }] of all) {
      expect(name).toMatch(/^(?:lograft|kafka|process|nodejs)(?:_[a-z0-9]+)+$/);
      expect(name.endsWith("_total"), name).toBe(type === "counter");
      expect(/_(?:bucket|sum|count)$/.test(name) && !name.startsWith("kafka_"), name).toBe(false);
      if (type === "histogram") expect(name).toMatch(/_seconds$/);
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
      expect(labels).not.toContain("le");
      expect(help).toMatch(/^[A-Z0-9].*\.$/);
    }
  });

  test("finds a name that is no metric", () => {
    const text = "rate(lograft_records_total[5m]) / lograft_recrods_total + kafka_exporter";
    expect(strangers(text, /\b(lograft_[a-z0-9_]+|kafka_[a-z0-9_]+)/g)).toEqual(["lograft_recrods_total"]);
  });
});

describe("every metric exists that is named", () => {
  test.each(filesUnder("deploy", [".json", ".yml", ".yaml", ".rules"]).map((path) => [path]))(
    "in %s",
    (path) => {
      const text = readFileSync(join(root, path), "utf8");
      expect(strangers(text, /(?<![\w.$/-])((?:lograft|kafka|process|nodejs)_[a-z0-9_]+)/g)).toEqual([]);
    },
  );

  test.each([...filesUnder("docs", [".md"]), "README.md"].map((path) => [path]))("in %s", (path) => {
    const text = readFileSync(join(root, path), "utf8");
    expect(strangers(text, /`((?:lograft|kafka)_[a-z][a-z0-9_]+)/g)).toEqual([]);
  });
});
