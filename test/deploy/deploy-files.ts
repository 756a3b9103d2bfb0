import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments, parse } from "yaml";

/** The top of the project. */
export const ROOT = join(import.meta.dirname, "..", "..");

/** A file of the project, as text. */
export function readDeployFile(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A YAML file, with its merge keys followed. */
export function readYamlFile(path: string): unknown {
  return parse(readDeployFile(path), { merge: true });
}

/** The documents of a YAML file. @throws when one of them is not YAML. */
export function readYamlDocuments(path: string): readonly unknown[] {
  return parseAllDocuments(readDeployFile(path)).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as unknown;
  });
}

/** What the settings among these variables are to a broker: LOGRAFT_NODE_ID is node.id. */
export function settingsOf(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      name.startsWith("LOGRAFT_")
        ? [[name.slice("LOGRAFT_".length).toLowerCase().replaceAll("_", "."), value]]
        : [],
    ),
  );
}
