import { once } from "node:events";
import Table from "cli-table3";

export type OutputFormat = "table" | "json";

/** A column of a printed table: its title and the cell of a row. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string | number;
  readonly align?: "left" | "right";
}

const BARE = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

/** Renders rows in aligned columns without borders. Wide characters (Chinese) count as two columns. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const table = new Table({
    chars: BARE,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    head: columns.map((column) => column.title),
    colAligns: columns.map((column) => column.align ?? "left"),
  });
  for (const row of rows) table.push(columns.map((column) => String(column.cell(row))));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** What a command prints: data to stdout, everything else to stderr. */
export class Output {
  readonly format: OutputFormat;
  readonly stderr: NodeJS.WriteStream;
  readonly #stdout: NodeJS.WriteStream;

  constructor(options: {
    readonly format: OutputFormat;
    readonly stdout: NodeJS.WriteStream;
    readonly stderr: NodeJS.WriteStream;
  }) {
    this.format = options.format;
    this.stderr = options.stderr;
    this.#stdout = options.stdout;
  }

  /** Whether somebody watches stderr: then a long job shows how far it is. */
  get isInteractive(): boolean {
    return this.stderr.isTTY && this.format === "table";
  }

  /** Writes data; false when the reader is behind, so wait for `drained`. */
  write(data: string | Uint8Array): boolean {
    return this.#stdout.write(data);
  }

  /** Resolves when the reader has caught up. @throws the reason of `signal`, so that a stuck reader cannot hold an end. */
  async drained(signal?: AbortSignal): Promise<void> {
    if (!this.#stdout.writableNeedDrain) return;
    await once(this.#stdout, "drain", signal === undefined ? {} : { signal });
  }

  line(text: string): void {
    this.#stdout.write(`${text}\n`);
  }

  /** For people: progress, results of changes, hints. */
  note(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value, undefined, 2));
  }

  /** What a change did: `text` for people, `value` under `--json`. */
  result(text: string, value: unknown): void {
    if (this.format === "json") this.json(value);
    else this.note(text);
  }

  /** Rows as a table, or `toJson` of each under `--json`. `empty` is what people read when there is none. */
  rows<Row>(
    columns: readonly Column<Row>[],
    rows: readonly Row[],
    options: { readonly empty: string; readonly toJson: (row: Row) => unknown },
  ): void {
    if (this.format === "json") this.json(rows.map(options.toJson));
    else if (rows.length === 0) this.note(options.empty);
    else this.line(renderTable(columns, rows));
  }
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** 1536 -> "1.5 KiB". */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit] ?? "B"}`;
}

/** 1234567.8 -> "1,234,568". */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** "1 record", "2 records". */
export function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}
