import { medianOf, round } from "../figures.ts";
import type { Row } from "./rows.ts";

/** What one system did in one row. */
export interface Cell {
  /** One for each round that gave a figure. */
  readonly values: readonly number[];
  readonly median: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** Lograft's median divided by this one; null of lograft itself and where one of both is missing. */
  readonly ratio: number | null;
  /** Why there is no figure, or not one for each round. */
  readonly note: string | null;
}

/** A row with what all systems did in it. */
export interface ComparedRow {
  readonly name: string;
  readonly what: string;
  readonly unit: string;
  readonly better: Row["better"];
  readonly cells: Readonly<Record<string, Cell>>;
}

export const OWN_NAME = "lograft";

/** Collects figures and the reasons for missing ones, and makes the table of them. */
export class Comparison {
  readonly #values = new Map<string, number[]>();
  readonly #notes = new Map<string, string>();

  add(row: string, system: string, value: number): void {
    const key = keyOf(row, system);
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
  }

  /** Says why there is no figure: "n/a: ...", "missing: ...", "failed: ...". The first reason stays. */
  note(row: string, system: string, text: string): void {
    const key = keyOf(row, system);
    if (!this.#notes.has(key)) this.#notes.set(key, text);
  }

  rows(rows: readonly Row[], systems: readonly string[]): readonly ComparedRow[] {
    return rows.map(({ name, what, unit, better }) => {
      const cells = systems.map((system) => [system, this.#cellOf(name, system)] as const);
      return { name, what, unit, better, cells: Object.fromEntries(cells) };
    });
  }

  #cellOf(row: string, system: string): Cell {
    const values = this.#values.get(keyOf(row, system)) ?? [];
    const own = this.#values.get(keyOf(row, OWN_NAME)) ?? [];
    const note = this.#notes.get(keyOf(row, system)) ?? null;
    if (values.length === 0) {
      return { values, median: null, min: null, max: null, ratio: null, note: note ?? "not measured" };
    }
    const median = medianOf(values);
    const ratio = system === OWN_NAME || own.length === 0 ? null : medianOf(own) / median;
    return {
      values,
      median: round(median),
      min: round(Math.min(...values)),
      max: round(Math.max(...values)),
      ratio: ratio === null || !Number.isFinite(ratio) ? null : round(ratio),
      note,
    };
  }
}

/** The table as Markdown: for each system the median and the spread; beside each peer, lograft's median to its. */
export function markdownOf(rows: readonly ComparedRow[], systems: readonly string[]): string {
  const titles = ["Row", "Unit", ...systems.flatMap((name) => titlesOf(name))];
  const lines = rows.map((row) => [
    row.name,
    row.better === "higher" ? row.unit : `${row.unit}, less is better`,
    ...systems.flatMap((system) => textsOf(system, row.cells[system])),
  ]);
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => (line[column] ?? "").length)),
  );
  const lineOf = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  const notes = rows.flatMap((row) => systems.flatMap((system) => notesOf(row, system)));
  return [lineOf(titles), rule, ...lines.map(lineOf), ...(notes.length === 0 ? [] : ["", ...notes]), ""].join(
    "\n",
  );
}

function titlesOf(system: string): string[] {
  return system === OWN_NAME ? [system] : [system, `lograft / ${system}`];
}

function textsOf(system: string, cell: Cell | undefined): string[] {
  const figure = figureOf(cell);
  if (system === OWN_NAME) return [figure];
  const ratio = cell?.ratio;
  return [figure, ratio === undefined || ratio === null ? "-" : `${ratio.toFixed(2)} x`];
}

function figureOf(cell: Cell | undefined): string {
  if (cell === undefined) return "not measured";
  if (cell.median === null || cell.min === null || cell.max === null) {
    // The reason of a failure is long: it stands below the table.
    return cell.note?.startsWith("failed") === true ? "failed" : (cell.note ?? "");
  }
  const spread = `${text(cell.median)} (${text(cell.min)} .. ${text(cell.max)})`;
  return cell.note === null ? spread : `${spread} *`;
}

function notesOf(row: ComparedRow, system: string): string[] {
  const cell = row.cells[system];
  if (cell === undefined || cell.note === null) return [];
  const isHidden = cell.median !== null || cell.note.startsWith("failed");
  return isHidden ? [`- ${row.name}, ${system}: ${cell.note} (${cell.values.length} figures)`] : [];
}

function text(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function keyOf(row: string, system: string): string {
  return `${row} ${system}`;
}
