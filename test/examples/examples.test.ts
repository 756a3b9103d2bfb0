import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT, runExample } from "./run-example.ts";

/* Each example runs as it is, and prints what its head says: what it claims is computed by it, not only written in it. */

const directory = join(ROOT, "examples");
const names = readdirSync(directory).filter((name) => name !== "README.md");
/** Those that a page shows whole; test/readme.test.ts and test/docs/from-kafkajs.test.ts run them. */
const inPages = ["first-steps.ts", "group-member.ts", "inside-a-test.ts", "from-kafkajs.ts"];
const whole = names.filter((name) => name.endsWith(".ts") && !inPages.includes(name));

for (const name of whole) {
  const code = readFileSync(join(directory, name), "utf8");
  const head = /^\/\*\n(.*?)\n \*\/\n/s.exec(code)?.[1] ?? "";

  test(`examples/${name} prints what its head says`, { timeout: 90_000 }, async () => {
    const promised = /\n \* prints:\n \*\n(.+)$/s.exec(head)?.[1] ?? "";
    expect(promised, "its head has a part that begins with `prints:`").not.toBe("");
    const { code: exitCode, output, errors } = await runExample(`examples/${name}`);
    expect(errors).toBe("");
    expect(output).toBe(`${promised.replaceAll(/^ \*   /gm, "")}\n`);
    expect(exitCode).toBe(0);
  });

  test(`examples/${name} says how it is run, and uses only the public packages`, () => {
    expect(head).toContain(`\n *   node scripts/run.mjs exec examples/${name}\n`);
    const imported = Array.from(code.matchAll(/ from "([^"]+)";$/gm), ([, specifier = ""]) => specifier);
    expect(imported.filter((one) => !/^node:|^lograft(?:\/client|\/testing)?$/.test(one))).toEqual([]);
  });
}

test("the flights come back as they went, read by a second process", { timeout: 90_000 }, async () => {
  const { code, output, errors } = await runExample("examples/flights/demo.ts");
  expect(output, errors).toContain("equal: every record arrived once, in the order of its key\n");
  expect(output).toContain("produced  200,000 records");
  expect(code).toBe(0);
});

test("examples/README.md lists every example, and each in one row", () => {
  const list = readFileSync(join(directory, "README.md"), "utf8");
  const listed = Array.from(list.matchAll(/^\| \[[^\]]+\]\(([^)]+)\)/gm), ([, path = ""]) => path);
  expect(listed.toSorted()).toEqual(
    names.map((name) => (name.endsWith(".ts") ? name : `${name}/demo.ts`)).toSorted(),
  );
});
