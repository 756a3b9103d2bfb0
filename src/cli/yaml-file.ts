import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { operationError } from "../base/errors.ts";
import type { FileSetting } from "./properties-file.ts";

/**
 * YAML whose nesting flattens to dotted keys: `log: {retention: {ms: 5}}` is `log.retention.ms=5`. Lists become
 * comma-separated text; a key without a value is not set; aliases are refused.
 * @throws LograftError CONFIG_INVALID naming the line.
 */
export function readYaml(path: string, text: string): readonly FileSetting[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [problem] = document.errors;
  if (problem !== undefined) {
    throw operationError("CONFIG_INVALID", `${path}: ${problem.message.trim()}`, { cause: problem });
  }
  const settings: FileSetting[] = [];
  const originOf = (node: unknown): string => `${path}:${lines.linePos(startOf(node)).line}`;
  const flatten = (prefix: string, key: unknown, node: unknown): void => {
    if (isMap(node)) {
      for (const pair of node.items) {
        const name = textOf(pair.key) ?? "";
        flatten(prefix === "" ? name : `${prefix}.${name}`, pair.key, pair.value);
      }
      return;
    }
    if (prefix === "") throw operationError("CONFIG_INVALID", `${path}: a mapping of settings is needed`);
    if (node === null || (isScalar(node) && node.value === null)) return;
    const text = isSeq(node) ? listText(node.items) : textOf(node);
    if (text === undefined) {
      throw operationError(
        "CONFIG_INVALID",
        `${originOf(key)}: ${prefix} is neither a value nor a list of values`,
      );
    }
    settings.push({ key: prefix, value: text, origin: originOf(key) });
  };
  if (document.contents !== null) flatten("", undefined, document.contents);
  return settings;
}

function listText(items: readonly unknown[]): string | undefined {
  const texts = items.map(textOf);
  return texts.every((text) => text !== undefined) ? texts.join(",") : undefined;
}

/** A number as it is written, so that no digit is lost on the way through floating point. */
function textOf(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
}

function startOf(node: unknown): number {
  return (node as { readonly range?: readonly [number, number, number] | null } | undefined)?.range?.[0] ?? 0;
}
