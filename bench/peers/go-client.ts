import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { digestOf, installBy, onceInstalled } from "./install.ts";

const SOURCES = fileURLToPath(new URL("go/", import.meta.url));

/** Builds our client in Go, which speaks to NATS and to Redis; gives the program. */
export async function buildGoClient(cache: string): Promise<string> {
  const names = await readdir(SOURCES);
  const place = join(
    cache,
    `go-client-${await digestOf(names.toSorted().map((name) => join(SOURCES, name)))}`,
  );
  await onceInstalled(place, async (temporary) => {
    const args = ["build", "-C", SOURCES, "-o", join(temporary, "client"), "."];
    await installBy({ command: "go", args });
  });
  return join(place, "client");
}
