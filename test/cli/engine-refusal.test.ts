import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { engineRefusal } from "../../src/cli/engine-refusal.ts";

test.each(["22.19.0", "22.20.1", "24.0.0", "25.1.0"])("Node.js %s is new enough", (version) => {
  expect(engineRefusal(version)).toBeUndefined();
});

test.each(["18.20.8", "20.20.2", "22.18.0"])(
  "Node.js %s is refused by name, with what is needed",
  (version) => {
    expect(engineRefusal(version)).toContain(`22.19 or newer, and this is ${version}`);
  },
);

test("package.json asks for the same", () => {
  const text = readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8");
  const { engines } = JSON.parse(text) as { readonly engines: { readonly node: string } };
  const [oldest = ""] = /\d+\.\d+/.exec(engines.node) ?? [];
  expect(engineRefusal(`${oldest}.0`)).toBeUndefined();
  const [major = 0, minor = 0] = oldest.split(".").map(Number);
  expect(engineRefusal(`${major}.${minor - 1}.9`)).toBeDefined();
});
