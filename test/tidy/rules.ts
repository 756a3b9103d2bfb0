import {
  asynchrony,
  banExceptions,
  bannedTexts,
  edges,
  outsideWorld,
  pureFolders,
  sharedState,
  statelessFolders,
} from "./banned.ts";
import type { Ban } from "./banned.ts";
import {
  entryFiles,
  entryPoints,
  folderRules,
  importExceptions,
  portFiles,
  portUsers,
} from "./import-table.ts";
import type { FolderRule } from "./import-table.ts";
import { importsOf, lineAt, scan } from "./scan.ts";
import type { Import } from "./scan.ts";

/** A source file; `path` is relative to its tree ("log/segment.ts" under src, "log/segment.test.ts" under test). */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly code: string;
  readonly imports: readonly Import[];
}

/** Longest file in lines that needs no reason. */
export const maxLines = 450;

/** Files that may be longer: tables, where a second file would only hide half of the list. */
export const longFiles: readonly string[] = [];

/** Reads a text into what the rules look at. */
export function sourceFile(path: string, text: string): SourceFile {
  const { code } = scan(text);
  return { path, text, code, imports: importsOf(text, code) };
}

/** The key of `folderRules` that a path under src falls under; undefined for an entry file or an unknown folder. */
export function folderOf(path: string): string | undefined {
  const parts = path.split("/").slice(0, -1);
  for (let length = parts.length; length > 0; length--) {
    const name = parts.slice(0, length).join("/");
    if (Object.hasOwn(folderRules, name)) return name;
  }
  return undefined;
}

/** A relative specifier as a path from the same root ("" when it leaves the tree), or undefined for a package. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return "";
    } else if (part !== ".") {
      parts.push(part);
    }
  }
  return parts.join("/");
}

/** Imports against the table of layers. */
export function checkLayers(file: SourceFile): string[] {
  if (entryFiles.includes(file.path)) return [];
  const folder = folderOf(file.path);
  const rule = folder === undefined ? undefined : folderRules[folder];
  if (folder === undefined || rule === undefined) {
    return [`src/${file.path}:1: its folder is not in the table; give it a row in test/tidy/import-table.ts`];
  }
  const problems: string[] = [];
  for (const { specifier, line } of file.imports) {
    const refused = refusal(file.path, folder, rule, specifier);
    if (refused !== undefined) problems.push(`src/${file.path}:${line}: ${refused}`);
  }
  return problems;
}

function refusal(path: string, folder: string, rule: FolderRule, specifier: string): string | undefined {
  const target = resolveImport(path, specifier);
  const isExcepted = (name: string): boolean =>
    importExceptions.some((one) => one.file === path && one.imports === name);
  if (isExcepted(specifier)) return undefined;
  if (target === undefined) {
    if (specifier.startsWith("node:")) {
      if (rule.node === "any" || rule.node.includes(specifier.slice(5))) return undefined;
      return `${folder} may not import ${specifier}; take what you need through a port of platform`;
    }
    if (
      rule.packages.some((name) => (name.endsWith("/") ? specifier.startsWith(name) : isIn(specifier, name)))
    ) {
      return undefined;
    }
    return `${folder} may not import the package ${specifier}; its homes are listed in test/tidy/import-table.ts`;
  }
  if (target === "") return `${specifier} leaves src; move what is shared into src`;
  if (portUsers.includes(folder) && portFiles.includes(target)) return undefined;
  const targetFolder = folderOf(target);
  if (targetFolder === undefined) return `${specifier} is an entry file; nothing imports those`;
  const isOwn = targetFolder === folder || isIn(targetFolder, folder);
  if (isOwn || rule.folders.includes(targetFolder) || isExcepted(targetFolder)) return undefined;
  return (
    `${folder} may not import ${targetFolder} (it may: ${rule.folders.join(", ") || "nothing"}); ` +
    `declare a port in ${folder} and let the broker or an entry file bind it`
  );
}

/** True for a name and for what is below it: "zod" and "zod/v4", "server" and "server/grpc". */
function isIn(name: string, parent: string): boolean {
  return name === parent || name.startsWith(`${parent}/`);
}

/** The form of relative imports: they name a file with its ending, and one that exists. */
export function checkSpecifiers(tree: string, file: SourceFile, exists: (path: string) => boolean): string[] {
  const problems: string[] = [];
  for (const { specifier, line } of file.imports) {
    const at = `${tree}/${file.path}:${line}`;
    if (!specifier.startsWith(".")) continue;
    if (/\.(?:json|mjs)$/.test(specifier)) continue;
    if (!specifier.endsWith(".ts")) problems.push(`${at}: write "${specifier}" with its ending .ts`);
    else if (!exists(resolveImport(`${tree}/${file.path}`, specifier) ?? "")) {
      problems.push(`${at}: there is no file at "${specifier}"`);
    }
  }
  return problems;
}

/** Names that reach past the injected ports, asynchrony in the pure folders, shared state. */
export function checkBans(file: SourceFile): string[] {
  const isUnder = (folders: readonly string[]): boolean => folders.some((name) => isIn(file.path, name));
  const bans = [
    ...(isUnder(edges) ? [] : outsideWorld),
    ...(isUnder(pureFolders) ? asynchrony : []),
    ...(isUnder(statelessFolders) ? sharedState : []),
  ];
  const lifted = new Set(banExceptions.filter((one) => one.file === file.path).map((one) => one.name));
  return findBanned(
    `src/${file.path}`,
    file.code,
    bans.filter((ban) => !lifted.has(ban.name)),
  );
}

/** Skipped tests, switched-off checks and open ends, in code and comments. */
export function checkTexts(path: string, text: string): string[] {
  return findBanned(path, text, bannedTexts);
}

function findBanned(path: string, text: string, bans: readonly Ban[]): string[] {
  const problems: string[] = [];
  for (const { name, pattern, instead } of bans) {
    for (const match of text.matchAll(pattern)) {
      problems.push(`${path}:${lineAt(text, match.index)}: ${name} is banned here; ${instead}`);
    }
  }
  return problems;
}

/** Names in kebab-case, length within bounds. */
export function checkShape(tree: string, file: SourceFile): string[] {
  const problems: string[] = [];
  if (
    !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*(?:(?:\.[a-z]+)?\.test|\.d)?\.tsx?$/.test(
      file.path,
    )
  ) {
    problems.push(`${tree}/${file.path}:1: names of files and folders are kebab-case; rename it`);
  }
  const lines = file.text.split("\n").length - 1;
  if (lines > maxLines && !longFiles.includes(`${tree}/${file.path}`)) {
    problems.push(
      `${tree}/${file.path}:${maxLines}: ${lines} lines; find the second noun and give it its own file`,
    );
  }
  return problems;
}

/** Circles of imports between files of one tree, each told once. */
export function findCycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const trail: string[] = [];
  const visit = (path: string): void => {
    const seenAt = trail.indexOf(path);
    if (seenAt >= 0) {
      const circle = [...trail.slice(seenAt), path].join(" -> ");
      cycles.push(
        `src/${path}:1: a circle of imports: ${circle}; move what they share into a file of its own`,
      );
      return;
    }
    const file = byPath.get(path);
    if (file === undefined || done.has(path)) return;
    trail.push(path);
    for (const { specifier } of file.imports) visit(resolveImport(path, specifier) ?? "");
    trail.pop();
    done.add(path);
  };
  for (const file of files) visit(file.path);
  return cycles;
}

/** Source files that nothing reaches. `testTargets` are the files under src that a test imports. */
export function findOrphans(files: readonly SourceFile[], testTargets: ReadonlySet<string>): string[] {
  const imported = new Set<string>();
  for (const file of files) {
    for (const { specifier } of file.imports) imported.add(resolveImport(file.path, specifier) ?? "");
  }
  const problems: string[] = [];
  for (const { path } of files) {
    if (imported.has(path) || entryPoints.includes(path)) continue;
    // The simulator is used by tests only; everything else must be part of the product.
    if (isIn(path, "sim") && testTargets.has(path)) continue;
    problems.push(`src/${path}:1: no source file imports it; use it or remove it`);
  }
  return problems;
}

/** A test under a folder of src is named after the file it tests; a second one has a word more: `segment.model.test.ts`. */
export function checkTestNames(tests: readonly string[], sources: ReadonlySet<string>): string[] {
  const problems: string[] = [];
  for (const path of tests) {
    // test/sim holds whole scenarios beside the tests of the simulator's own files.
    if (folderOf(path) === undefined || isIn(path, "sim") || !path.endsWith(".test.ts")) continue;
    const stem = path.replace(/(?:\.[a-z]+)?\.test\.ts$/, "");
    if (sources.has(`${stem}.ts`)) continue;
    problems.push(`test/${path}:1: there is no src/${stem}.ts; name a test after the file that it tests`);
  }
  return problems;
}

/** A decision record: one title, and the three parts. */
export function checkDecision(path: string, text: string): string[] {
  const problems: string[] = [];
  const titles = text.split("\n").filter((line) => line.startsWith("# "));
  if (!/^\d{4}-[a-z0-9-]+\.md$/.test(path)) problems.push(`docs/decisions/${path}:1: name it NNNN-title.md`);
  if (titles.length !== 1)
    problems.push(`docs/decisions/${path}:1: ${titles.length} titles; it has exactly one`);
  for (const heading of ["## What", "## Why", "## Refused"]) {
    if (!text.split("\n").includes(heading)) {
      problems.push(`docs/decisions/${path}:1: the part "${heading}" is missing`);
    }
  }
  return problems;
}

/** The list of hazards: a row for each number that a file cites and for no other, and each row's files are there. */
export function checkHazards(
  list: string,
  files: readonly (readonly [path: string, text: string])[],
  exists: (path: string) => boolean,
): string[] {
  const rows = new Map(
    list.split("\n").flatMap((row) => {
      const id = /^\| (H\d+) /.exec(row)?.[1];
      return id === undefined ? [] : [[id, row] as const];
    }),
  );
  const problems: string[] = [];
  const cited = new Set<string>();
  for (const [path, text] of files) {
    for (const [id] of text.matchAll(/\bH[1-9]\d?\b/g)) {
      if (!rows.has(id) && !cited.has(id)) problems.push(`${path}: cites ${id}, which docs/hazards.md lacks`);
      cited.add(id);
    }
  }
  for (const [id, row] of rows) {
    if (!cited.has(id)) problems.push(`docs/hazards.md: nothing cites ${id} any more`);
    const named = Array.from(row.matchAll(/`((?:src|test)\/[^`]+)`/g), ([, path = ""]) => path);
    for (const part of ["src/", "test/"]) {
      if (!named.some((path) => path.startsWith(part)))
        problems.push(`docs/hazards.md: ${id} names no file of ${part}`);
    }
    const gone = named.filter((path) => !exists(path));
    if (gone.length > 0) problems.push(`docs/hazards.md: ${id} names ${gone.join(", ")}, which is not there`);
  }
  return problems;
}

interface LockedPackage {
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The lock file names no download address, and every package for another platform, so that `npm ci` works there. */
export function checkLockFile(packages: Readonly<Record<string, LockedPackage>>): string[] {
  const problems: string[] = [];
  for (const [path, entry] of Object.entries(packages)) {
    if (entry.resolved?.startsWith("http") === true) {
      problems.push(
        `package-lock.json: ${path} names an address; keep omit-lockfile-registry-resolved in .npmrc`,
      );
    }
    const missing = Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) =>
        !Object.hasOwn(packages, `node_modules/${name}`) &&
        !Object.hasOwn(packages, `${path}/node_modules/${name}`),
    );
    if (missing.length > 0) {
      problems.push(
        `package-lock.json: ${path} lacks ${missing.join(", ")}, so npm ci refuses it; ` +
          `pin a version all of whose packages are published and write the lock file anew`,
      );
    }
  }
  return problems;
}
