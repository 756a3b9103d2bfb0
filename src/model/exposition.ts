import type { HistogramReading } from "../base/histogram.ts";
import type { LabelsOf, Metric, MetricTable } from "./metric.ts";

/** The content type of what `Exposition` prints. */
export const EXPOSITION_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Samples on their way to Prometheus: filled in any order, printed in its text format (version 0.0.4) with the metrics in
 * the order of the table. A metric without samples is left out. Only names and labels of the table can be written.
 */
export class Exposition<Table extends MetricTable> {
  readonly #table: Table;
  readonly #lines = new Map<string, string[]>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** One sample of a gauge or counter. */
  add<Name extends keyof Table & string>(name: Name, labels: LabelsOf<Table[Name]>, value: number): void {
    this.#linesOf(name).push(`${name}${this.#labelText(name, labels)} ${valueText(value)}`);
  }

  /** The samples of a histogram. */
  addHistogram<Name extends keyof Table & string>(
    name: Name,
    labels: LabelsOf<Table[Name]>,
    { bounds, counts, sum, count }: HistogramReading,
  ): void {
    const lines = this.#linesOf(name);
    let below = 0;
    for (const [at, bound] of bounds.entries()) {
      below += counts[at] ?? 0;
      lines.push(`${name}_bucket${this.#labelText(name, labels, bound)} ${below}`);
    }
    lines.push(`${name}_bucket${this.#labelText(name, labels, Infinity)} ${count}`);
    const text = this.#labelText(name, labels);
    lines.push(`${name}_sum${text} ${valueText(sum)}`, `${name}_count${text} ${count}`);
  }

  /** The whole text; ends with a line feed unless it is empty. */
  toString(): string {
    const parts: string[] = [];
    for (const [name, { help, type }] of Object.entries<Metric>(this.#table)) {
      const lines = this.#lines.get(name);
      if (lines === undefined) continue;
      parts.push(`# HELP ${name} ${escapedHelp(help)}`, `# TYPE ${name} ${type}`);
      for (const line of lines) parts.push(line);
    }
    return parts.length === 0 ? "" : `${parts.join("\n")}\n`;
  }

  #linesOf(name: string): string[] {
    let lines = this.#lines.get(name);
    if (lines === undefined) {
      lines = [];
      this.#lines.set(name, lines);
    }
    return lines;
  }

  #labelText(
    name: string,
    labels: Readonly<Record<string, string | number | undefined>>,
    bound?: number,
  ): string {
    const pairs: string[] = [];
    for (const label of this.#table[name]?.labels ?? []) {
      const value = labels[label];
      if (value !== undefined) pairs.push(`${label}="${escapedLabel(String(value))}"`);
    }
    if (bound !== undefined) pairs.push(`le="${valueText(bound)}"`);
    return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  }
}

function valueText(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}

/** Group ids come from outside and may hold anything (H75). */
function escapedLabel(text: string): string {
  if (!/["\\\n]/.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapedHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
