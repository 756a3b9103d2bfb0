/** A link of a document, with the line that it is in (from 1). */
export interface Link {
  readonly target: string;
  readonly line: number;
}

/** The lines of a text, each with whether it is part of a code block. */
function linesOf(text: string): { readonly line: string; readonly isCode: boolean }[] {
  let isInBlock = false;
  return text.split("\n").map((line) => {
    const isFence = /^\s*```/.test(line);
    if (isFence) isInBlock = !isInBlock;
    return { line, isCode: isFence || isInBlock };
  });
}

/** The lines of a text; those of code blocks are empty. */
function proseOf(text: string): string[] {
  return linesOf(text).map(({ line, isCode }) => (isCode ? "" : line));
}

/** The lines of its code blocks, and what stands between backticks elsewhere. */
export function codeOf(text: string): string[] {
  return linesOf(text).flatMap(({ line, isCode }) =>
    isCode ? [line] : Array.from(line.matchAll(/`([^`]+)`/g), ([, code = ""]) => code),
  );
}

/** Its links `[text](target)`, but those in code. */
export function linksOf(text: string): Link[] {
  return proseOf(text).flatMap((line, index) => {
    const prose = line.replaceAll(/\]\([^)]*\)|`[^`]*`/g, (part) => (part.startsWith("`") ? "" : part));
    return Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, target = ""]) => ({ target, line: index + 1 }));
  });
}

/** What a link may name behind `#`: GitHub's names of headings, of which a second one alike gets a number. */
export function headingIds(text: string): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const line of proseOf(text)) {
    const heading = /^#{1,6} (.+)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const id = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(" ", "-");
    for (let copy = 0; ; copy++) {
      const name = copy === 0 ? id : `${id}-${copy}`;
      if (ids.has(name)) continue;
      ids.add(name);
      break;
    }
  }
  return ids;
}
