import { parseFlag, parseKnown } from "./kafka-flags.ts";
import type { PrintableRecord } from "./record-format.ts";

/** The properties that say what is printed of a record. */
export const FORMAT_PROPERTIES = [
  "print.timestamp",
  "print.partition",
  "print.offset",
  "print.headers",
  "print.key",
  "print.value",
  "key.separator",
  "line.separator",
  "headers.separator",
  "null.literal",
] as const;

/**
 * Kafka's line for a record: what is asked for of timestamp, partition, offset, headers, key and value, in this order.
 * @throws LograftError INVALID_ARGUMENT for a property that is not known, or not true or false.
 */
export function kafkaRecordFormat(
  pairs: readonly string[],
  flag: string,
): (record: PrintableRecord) => string {
  const given = parseKnown(pairs, flag, FORMAT_PROPERTIES);
  const isOn = (key: (typeof FORMAT_PROPERTIES)[number], otherwise = false): boolean =>
    parseFlag(given.get(key), key, otherwise);
  const hasTimestamp = isOn("print.timestamp");
  const hasPartition = isOn("print.partition");
  const hasOffset = isOn("print.offset");
  const hasHeaders = isOn("print.headers");
  const hasKey = isOn("print.key");
  const hasValue = isOn("print.value", true);
  const separator = given.get("key.separator") ?? "\t";
  const end = given.get("line.separator") ?? "\n";
  const between = given.get("headers.separator") ?? ",";
  const nothing = given.get("null.literal") ?? "null";
  const textOf = (bytes: Uint8Array | null): string =>
    bytes === null ? nothing : new TextDecoder().decode(bytes);
  const headersOf = ({ headers }: PrintableRecord): string =>
    headers.length === 0
      ? "NO_HEADERS"
      : headers.map(({ key, value }) => `${key}:${textOf(value)}`).join(between);
  return (record) => {
    const parts: string[] = [];
    if (hasTimestamp) parts.push(`CreateTime:${record.timestamp}`);
    if (hasPartition) parts.push(`Partition:${record.partition}`);
    if (hasOffset) parts.push(`Offset:${record.offset}`);
    if (hasHeaders) parts.push(headersOf(record));
    if (hasKey) parts.push(textOf(record.key));
    if (hasValue) parts.push(textOf(record.value));
    return parts.join(separator) + end;
  };
}
