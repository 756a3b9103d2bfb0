import { operationError } from "../base/errors.ts";
import type { ProducerRecord } from "./producer-types.ts";

/**
 * Programs without types send what is no record. It is refused before anything of it is in a batch, whose other records
 * would go down with it. A few comparisons of types for each record. @throws LograftError INVALID_ARGUMENT naming the field.
 */
export function checkRecord(topic: string, record: ProducerRecord): void {
  if (typeof topic !== "string") throw wrong("topic", topic, "the name of a topic");
  if (typeof record !== "object" || record === null) {
    throw wrong("record", record, "an object with a value, such as { value: text }");
  }
  const { key, value, headers } = record;
  if (!isData(value)) {
    throw wrong("value", value, "text, bytes or null; JSON.stringify makes text of an object");
  }
  if (key !== undefined && !isData(key)) throw wrong("key", key, "text, bytes or null");
  if (headers !== undefined) checkHeaders(headers);
}

function checkHeaders(headers: unknown): void {
  if (!Array.isArray(headers)) throw wrong("headers", headers, "a list of { key, value }; a key may repeat");
  for (const header of headers as readonly unknown[]) {
    const { key, value } = (header ?? {}) as { readonly key?: unknown; readonly value?: unknown };
    if (typeof key !== "string") throw wrong("the key of a header", key, "text");
    if (!isData(value)) throw wrong(`the value of header ${key}`, value, "text, bytes or null");
  }
}

function isData(data: unknown): boolean {
  return typeof data === "string" || data === null || data instanceof Uint8Array;
}

function wrong(field: string, found: unknown, wanted: string): Error {
  const kind = found === null ? "null" : Array.isArray(found) ? "an array" : `of type ${typeof found}`;
  return operationError("INVALID_ARGUMENT", `${field} is ${kind}; it has to be ${wanted}`, {
    context: { field },
  });
}
