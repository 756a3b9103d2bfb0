import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL("../../scripts/docs.mjs", import.meta.url));

test("docs/cli.md, config.md, errors.md and metrics.md say what the code says (else: npm run docs)", async () => {
  // The script's own text names the stale pages and the command that mends them.
  const { stderr } = await run(process.execPath, [SCRIPT, "--check"]).catch(
    (error: unknown) => error as { stderr: string },
  );
  expect(stderr).toBe("");
});
