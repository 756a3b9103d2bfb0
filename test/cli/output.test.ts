import { expect, test } from "vitest";
import { counted, formatBytes, formatCount, Output, renderTable } from "../../src/cli/output.ts";
import { CapturedStream } from "./harness.ts";

interface Row {
  readonly name: string;
  readonly count: number;
}

const columns = [
  { title: "TOPIC", cell: (row: Row) => row.name },
  { title: "COUNT", cell: (row: Row) => row.count, align: "right" as const },
  { title: "LAST", cell: () => "x" },
];

test("columns line up, numbers to the right, and no line ends in blanks", () => {
  expect(
    renderTable(columns, [
      { name: "a", count: 1 },
      { name: "longer", count: 12_345 },
    ]),
  ).toBe(["TOPIC   COUNT  LAST", "a           1  x", "longer  12345  x"].join("\n"));
});

test("Chinese characters take two columns each", () => {
  expect(
    renderTable(columns, [
      { name: "订单主题", count: 1 },
      { name: "orders", count: 2 },
    ]),
  ).toBe(["TOPIC     COUNT  LAST", "订单主题      1  x", "orders        2  x"].join("\n"));
});

test("bytes and counts read well", () => {
  expect([0, 1023, 1536, 1_048_576, 5e12].map(formatBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "1.0 MiB",
    "4.5 TiB",
  ]);
  expect(formatCount(1_234_567.8)).toBe("1,234,568");
  expect([counted(1, "record"), counted(2000, "record")]).toEqual(["1 record", "2,000 records"]);
});

test("rows are a table for people, JSON under --json, and a note when there are none", () => {
  const shown = (format: "table" | "json", rows: readonly Row[]): { out: string; err: string } => {
    const stdout = new CapturedStream();
    const stderr = new CapturedStream();
    const output = new Output({
      format,
      stdout: stdout as unknown as NodeJS.WriteStream,
      stderr: stderr as unknown as NodeJS.WriteStream,
    });
    output.rows(columns, rows, { empty: "nothing", toJson: ({ name }) => ({ name }) });
    return { out: stdout.text, err: stderr.text };
  };
  expect(shown("table", [])).toEqual({ out: "", err: "nothing\n" });
  expect(shown("json", [])).toEqual({ out: "[]\n", err: "" });
  expect(shown("json", [{ name: "a", count: 1 }]).out).toBe('[\n  {\n    "name": "a"\n  }\n]\n');
  expect(shown("table", [{ name: "a", count: 1 }]).out).toContain("TOPIC");
});
