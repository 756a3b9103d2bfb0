import { ByteReader, copyBytes, type ByteWriter } from "../../base/bytes.ts";
import { errorMessage, LograftError, operationError } from "../../base/errors.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../../model/ids.ts";
import type { TopicPartitions } from "./group-api.ts";

/** The two halves of a record. */
export type RecordPart = "key" | "value";

/**
 * Reads the named fields of a group record, first those of its key, then those of its value. Remembers the field it is
 * at, so that a damaged record can say where. Text and bytes come in Kafka's form (a signed count before them, -1 for
 * null) and in the form of our own values (behind an unsigned varint).
 */
export class FieldReader {
  #reader: ByteReader;
  #part: RecordPart = "key";
  #field = "version";

  constructor(key: Buffer) {
    this.#reader = new ByteReader(key);
  }

  /** Goes on with the value; all of the key must have been read. */
  enterValue(value: Buffer): void {
    this.expectEnd();
    this.#part = "value";
    this.#reader = new ByteReader(value);
  }

  expectEnd(): void {
    this.#field = "end";
    this.#reader.expectEnd();
  }

  uint8(field: string): number {
    this.#field = field;
    return this.#reader.uint8();
  }

  int16(field: string): number {
    this.#field = field;
    return this.#reader.int16();
  }

  int32(field: string): number {
    this.#field = field;
    return this.#reader.int32();
  }

  int64(field: string): number {
    this.#field = field;
    return this.#reader.int64();
  }

  /** Bytes that no one needs. */
  skip(field: string, count: number): void {
    this.#field = field;
    this.#reader.skip(count);
  }

  /** Text in Kafka's form. */
  text(field: string): string {
    this.#field = field;
    return this.#reader.utf8(this.#reader.int16());
  }

  /** Text in Kafka's form that may be null. */
  nullableText(field: string): string | null {
    this.#field = field;
    const size = this.#reader.int16();
    return size === -1 ? null : this.#reader.utf8(size);
  }

  /** Bytes in Kafka's form, copied: they outlive the batch that they lie in. */
  bytes(field: string): Buffer {
    this.#field = field;
    return copyBytes(this.#reader.bytes(this.#reader.int32()));
  }

  /** A list in Kafka's form. */
  list<T>(field: string, read: () => T): T[] {
    this.#field = field;
    return this.#items(this.#reader.int32(), read);
  }

  /** Text in our own form. */
  sizedText(field: string): string {
    this.#field = field;
    return this.#reader.sizedUtf8();
  }

  /** Text in our own form that may be null: the count is one more, 0 is null. */
  nullableSizedText(field: string): string | null {
    this.#field = field;
    const size = this.#reader.uvarint();
    return size === 0 ? null : this.#reader.utf8(size - 1);
  }

  /** A list in our own form. */
  sizedList<T>(field: string, read: () => T): T[] {
    this.#field = field;
    return this.#items(this.#reader.uvarint(), read);
  }

  /** Topics with their partitions, in our own form. */
  topicPartitions(field: string): TopicPartitions[] {
    return this.sizedList(field, () => ({
      topicId: topicIdFromBytes(this.#reader.bytes(UUID_BYTES)),
      partitions: this.sizedList(field, () => this.#reader.uvarint()),
    }));
  }

  /** Kafka's tagged fields (KIP-482), the unknown ones too. */
  taggedFields(): { readonly tag: number; readonly bytes: Buffer }[] {
    return this.sizedList("tagged fields", () => {
      const tag = this.#reader.uvarint();
      return { tag, bytes: this.#reader.bytes(this.#reader.uvarint()) };
    });
  }

  /** The error of a record that cannot be read, with what `cause` says of the field at hand. */
  damage(cause: unknown): LograftError {
    const text = `the ${this.#field} in the ${this.#part} of a record of the offsets topic is damaged: ${errorMessage(cause)}`;
    return operationError("LOG_CORRUPT", text, {
      context: { part: this.#part, field: this.#field },
      cause,
    });
  }

  /** Refuses what the field at hand says. */
  refuse(reason: string): never {
    throw new LograftError("CORRUPT_MESSAGE", reason);
  }

  #items<T>(count: number, read: () => T): T[] {
    // Nothing is set aside for a count that the data claims: every item takes bytes, and they run out.
    if (count < 0) this.refuse(`a list of ${count} items`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }
}

/** Text in Kafka's form. @throws RangeError past 32,767 bytes; what comes from outside is bounded before it is recorded. */
export function writeText(out: ByteWriter, value: string): void {
  out.int16(Buffer.byteLength(value, "utf8"));
  out.utf8(value);
}

/** As `FieldReader.nullableText` reads it. */
export function writeNullableText(out: ByteWriter, value: string | null): void {
  if (value === null) out.int16(-1);
  else writeText(out, value);
}

/** As `FieldReader.bytes` reads it. */
export function writeBytes(out: ByteWriter, value: Buffer): void {
  out.int32(value.byteLength);
  out.bytes(value);
}

/** As `FieldReader.nullableSizedText` reads it. */
export function writeNullableSizedText(out: ByteWriter, value: string | null): void {
  if (value === null) {
    out.uvarint(0);
    return;
  }
  out.uvarint(Buffer.byteLength(value, "utf8") + 1);
  out.utf8(value);
}

/** As `FieldReader.topicPartitions` reads it. */
export function writeTopicPartitions(out: ByteWriter, topics: readonly TopicPartitions[]): void {
  out.uvarint(topics.length);
  for (const { topicId, partitions } of topics) {
    out.bytes(topicIdToBytes(topicId));
    out.uvarint(partitions.length);
    for (const partition of partitions) out.uvarint(partition);
  }
}
