import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { brokerConfigDocs } from "../../src/model/configs.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "from-kafka.md"), "utf8");

test("the defaults that differ from Kafka's are those of the code", () => {
  const part = /\n## Settings\n(.*?)\n### /s.exec(page)?.[1] ?? "";
  const said = Array.from(
    part.matchAll(/^\| `([^`]+)` +\| [^|]+\| ([^| ]+) +\|/gm),
    ([, name = "", value = ""]) => [name, value],
  );
  const real = new Map(brokerConfigDocs().map((row) => [row.name, row.default]));
  expect(said.length).toBeGreaterThan(8);
  expect(said).toEqual(said.map(([name = ""]) => [name, real.get(name)]));
});
