/*
 * The text form of checkpoints, shared by leader epochs and offsets. Kafka's format:
 *
 *     0            version
 *     2            count of entries
 *     3 120        entries, one a line, fields separated by one space
 *     5 4400
 *
 * Every line ends in a newline, the last one too, so a file cut short is noticed: by the count, or by the missing end.
 */

const VERSION = "0";

/** The lines of a checkpoint of these entries. */
export function formatCheckpointLines(entries: readonly string[]): string {
  return [VERSION, String(entries.length), ...entries, ""].join("\n");
}

/** The entries' lines, or undefined when the text is cut, of another version, or has another count of lines. */
export function parseCheckpointLines(text: string): readonly string[] | undefined {
  const lines = text.split("\n");
  const [version, count, ...rest] = lines;
  const end = rest.pop();
  if (version !== VERSION || count === undefined || end !== "") return undefined;
  return parseCount(count) === rest.length ? rest : undefined;
}

/** A whole decimal number in [0, max] in its one spelling (no sign, no leading zero), else undefined. */
export function parseCount(
  text: string | undefined,
  max: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}
