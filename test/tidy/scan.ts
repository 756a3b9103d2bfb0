/** A comment with the line it starts on (from 1). */
export interface Comment {
  readonly line: number;
  readonly text: string;
}

/** A source text with its parts told apart. */
export interface Scan {
  /** The text in the same length and lines, with comments and the insides of strings and regular expressions blank. */
  readonly code: string;
  readonly comments: readonly Comment[];
}

/** An import, export-from, dynamic import or import type, with the line of its specifier. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/**
 * Splits TypeScript into code and comments. A tokenizer for our own formatted code, not for all of the language: JSX is
 * not known, and a '/' is taken for a division after a name, a number, ')', ']' or '}'.
 */
export function scan(text: string): Scan {
  const out = text.split("");
  const comments: Comment[] = [];
  // For each open template literal, the number of '{' open inside its present ${ }.
  const templates: number[] = [];
  let at = 0;

  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  const readTemplate = (from: number): void => {
    at = from;
    while (at < text.length && text[at] !== "`" && !text.startsWith("${", at))
      at += text[at] === "\\" ? 2 : 1;
    blank(from, Math.min(at, text.length));
    if (text[at] === "`") {
      at += 1;
    } else {
      templates.push(0);
      at += 2;
    }
  };

  while (at < text.length) {
    const char = text[at] ?? "";
    const next = text[at + 1] ?? "";
    if (char === "/" && (next === "/" || next === "*")) {
      const close = next === "/" ? text.indexOf("\n", at) : text.indexOf("*/", at + 2) + 2;
      const end = close < (next === "/" ? 0 : 2) ? text.length : close;
      comments.push({ line: lineAt(text, at), text: text.slice(at, end) });
      blank(at, end);
      at = end;
    } else if (char === '"' || char === "'") {
      const end = endOfString(text, at, char);
      blank(at + 1, end - 1);
      at = end;
    } else if (char === "`") {
      readTemplate(at + 1);
    } else if (char === "/" && startsRegExp(out, at)) {
      const end = endOfRegExp(text, at);
      blank(at + 1, end - 1);
      at = end;
    } else if (templates.length > 0 && (char === "{" || char === "}")) {
      const open = templates.at(-1) ?? 0;
      if (char === "}" && open === 0) {
        templates.pop();
        readTemplate(at + 1);
      } else {
        templates[templates.length - 1] = open + (char === "{" ? 1 : -1);
        at += 1;
      }
    } else {
      at += 1;
    }
  }
  return { code: out.join(""), comments };
}

/** Every module that a text names in an import or export, `import()` and `require()` included. */
export function importsOf(text: string, code: string): Import[] {
  const forms = [
    /\b(?:import|export)\b[^;"'`()]*?\bfrom\s*(?=["'])/g,
    /\bimport\s*(?=["'])/g,
    /\b(?:import|require)\s*\(\s*(?=["'])/g,
  ];
  const found: Import[] = [];
  for (const form of forms) {
    for (const match of code.matchAll(form)) {
      const quote = match.index + match[0].length;
      const end = text.indexOf(text[quote] ?? "", quote + 1);
      found.push({ specifier: text.slice(quote + 1, end), line: lineAt(text, quote) });
    }
  }
  return found.sort((a, b) => a.line - b.line);
}

/** The line (from 1) of a position. */
export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i !== -1 && i < position; i = text.indexOf("\n", i + 1)) line += 1;
  return line;
}

function endOfString(text: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < text.length && text[at] !== quote && text[at] !== "\n") at += text[at] === "\\" ? 2 : 1;
  return Math.min(at + 1, text.length);
}

function startsRegExp(code: readonly string[], slash: number): boolean {
  let at = slash - 1;
  while (at >= 0 && /\s/.test(code[at] ?? "")) at -= 1;
  if (at < 0) return true;
  const before = code.slice(Math.max(0, at - 9), at + 1).join("");
  if (/\b(?:return|typeof|case|in|of|await|yield)$/.test(before)) return true;
  return !/[\w$)\]}"'`]$/.test(before);
}

function endOfRegExp(text: string, start: number): number {
  let at = start + 1;
  let inClass = false;
  while (at < text.length && text[at] !== "\n") {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at + 1;
    at += 1;
  }
  return at;
}
