import { createInterface } from "node:readline";
import type { ClientResult } from "./client-driver.ts";
import { LograftCommands } from "./lograft-commands.ts";

/* Our client as a program of the form that client-driver.ts describes; its arguments are the brokers. */

const commands = new LograftCommands(process.argv.slice(2), (event) => say({ event }));
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [name = "", ...words] = line.split(" ");
  if (name === "killed") {
    commands.onKilled();
    return;
  }
  const values = new Map(
    words.map((word) => {
      const at = word.indexOf("=");
      return [word.slice(0, at), word.slice(at + 1)] as const;
    }),
  );
  answer(name, values).then(
    (result) => say({ result }),
    (error: unknown) =>
      say({ error: error instanceof Error ? `${error.name}: ${error.message}` : "unknown" }),
  );
});
lines.once("close", () => process.exit(0));

async function answer(name: string, values: ReadonlyMap<string, string>): Promise<ClientResult> {
  const text = (key: string): string => values.get(key) ?? "";
  const number = (key: string): number => Number(values.get(key) ?? 0);
  return commands.run(name, { text, number });
}

function say(
  what: { readonly result: ClientResult } | { readonly error: string } | { readonly event: string },
): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
