import { fileURLToPath } from "node:url";

/** The file of a module beside this one ("./name"), in the form in which this one runs: JavaScript, or TypeScript. */
export function siblingModule(path: string): string {
  const ending = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  return fileURLToPath(new URL(`${path}${ending}`, import.meta.url));
}
