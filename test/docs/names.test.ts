import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { brokerConfigDocs, topicConfigDocs } from "../../src/model/configs.ts";
import { codeOf } from "./markdown.ts";

/* Pages that are written by hand, beside those that are made from the code. */

const root = join(import.meta.dirname, "..", "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const ofDocs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
const pages = [
  "README.md",
  "deploy/README.md",
  "examples/README.md",
  ...ofDocs.map((name) => `docs/${name}`),
];

test("the documents name only commands that there are", () => {
  const headings = Array.from(read("docs/cli.md").matchAll(/^## lograft (.+)$/gm), ([, name = ""]) => name);
  const families = new Set(headings.flatMap((name) => (name.includes(" ") ? [name.split(" ")[0]] : [])));
  const problems: string[] = [];
  let count = 0;
  for (const page of pages) {
    for (const code of codeOf(read(page))) {
      for (const [, name = "", next = ""] of code.matchAll(
        /(?:^|npx |[|] |exec \S+ )lograft ([a-z][a-z-]*)(?: ([a-z][a-z0-9-]*))?/g,
      )) {
        // `lograft produce orders`: the second word is an argument.
        const command = families.has(name) && next !== "" ? `${name} ${next}` : name;
        count++;
        if (!headings.includes(command) && !families.has(command))
          problems.push(`${page}: lograft ${command}`);
      }
    }
  }
  expect(count).toBeGreaterThan(100);
  expect(problems).toEqual([]);
});

/** Names of attributes of spans look like settings. */
function isAttribute(name: string): boolean {
  return name.startsWith("messaging.") || name.startsWith("lograft.") || name === "error.type";
}

test("the documents name only settings that there are", () => {
  const names = new Set([...brokerConfigDocs(), ...topicConfigDocs()].map(({ name }) => name));
  const ending =
    /\.(?:ms|bytes|policy|hours|minutes|size|replicas|factor|port|host|enable|type|listeners|id)$/;
  // Of spans and log lines.
  const attribute = /^(?:messaging|error|lograft)\./;
  const problems: string[] = [];
  let count = 0;
  for (const page of pages) {
    // It names many that there are not.
    if (page === "docs/from-kafka.md") continue;
    for (const code of codeOf(read(page))) {
      const name = /^([a-z]+(?:\.[a-z]+)+)(?:=.*)?$/.exec(code)?.[1];
      if (name === undefined || !ending.test(name) || attribute.test(name)) continue;
      count++;
      if (!names.has(name) && !isAttribute(name)) problems.push(`${page}: ${name}`);
    }
  }
  expect(count).toBeGreaterThan(50);
  expect(problems).toEqual([]);
});
