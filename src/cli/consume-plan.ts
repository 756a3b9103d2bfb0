import { operationError } from "../base/errors.ts";
import type { Admin, TopicPartitionRef } from "../client/index.ts";
import { ProtocolError } from "../model/error-code.ts";
import { parseInteger, parseTime } from "./arguments.ts";

/** Which records `consume` reads. */
export interface ReadingPlan {
  /** One entry for each partition in which there may be something to read. */
  readonly assign: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly from: "beginning" | "end" | number | Date;
  }[];
  /** Where each partition stops (exclusive), by "topic-partition"; undefined: it goes on. */
  readonly ends: ReadonlyMap<string, number> | undefined;
}

/** Where to begin, as -o says it. */
interface Start {
  readonly from: "beginning" | "end" | number | Date;
  /** So many records before the end, for -N. */
  readonly tail: number | undefined;
  readonly until: Date | undefined;
}

/**
 * Turns the options of `consume` into partitions, starts and ends, as the broker knows them now.
 * @throws LograftError INVALID_ARGUMENT; OFFSET_OUT_OF_RANGE; what the broker refuses.
 */
export async function planReading(
  admin: Admin,
  options: {
    readonly topics: readonly string[];
    readonly where: string;
    readonly partitions: string | undefined;
    readonly exitAtEnd: boolean;
  },
): Promise<ReadingPlan> {
  const start = parseStart(options.where);
  const partitions = await partitionsOf(admin, options.topics, options.partitions);
  const isPlain = start.tail === undefined && typeof start.from !== "number";
  if (isPlain && start.until === undefined && !options.exitAtEnd) {
    return { assign: partitions.map((partition) => ({ ...partition, from: start.from })), ends: undefined };
  }
  const starts = await offsetsOf(admin, partitions, "beginning");
  const logEnds = await offsetsOf(admin, partitions, "end");
  const froms = await fromOffsets(admin, partitions, start, { starts, logEnds });
  const isBounded = options.exitAtEnd || start.until !== undefined;
  const ends = isBounded ? await endOffsets(admin, partitions, start.until, logEnds) : undefined;
  const assign = partitions.flatMap((partition) => {
    const name = nameOf(partition);
    const from = froms.get(name) ?? 0;
    return ends !== undefined && from >= (ends.get(name) ?? 0) ? [] : [{ ...partition, from }];
  });
  return { assign, ends };
}

function parseStart(text: string): Start {
  if (text === "start") return { from: "beginning", tail: undefined, until: undefined };
  if (text === "end") return { from: "end", tail: undefined, until: undefined };
  if (text.startsWith("@")) {
    const [from = "", until, ...more] = text.slice(1).split(",");
    if (more.length > 0)
      throw operationError("INVALID_ARGUMENT", `-o ${text}: write it as @FROM or @FROM,TO`);
    return {
      from: parseTime(from, "-o"),
      tail: undefined,
      until: until === undefined ? undefined : parseTime(until, "-o"),
    };
  }
  if (/^-\d+$/.test(text))
    return { from: "end", tail: parseInteger(text.slice(1), "-o", 0), until: undefined };
  if (/^\d+$/.test(text)) return { from: parseInteger(text, "-o", 0), tail: undefined, until: undefined };
  throw operationError("INVALID_ARGUMENT", `-o ${text}: there is start, end, N, -N, @TIME and @FROM,TO`);
}

async function partitionsOf(
  admin: Admin,
  topics: readonly string[],
  only: string | undefined,
): Promise<readonly TopicPartitionRef[]> {
  const wanted = only?.split(",").map((text) => parseInteger(text, "-p", 0));
  const described = await admin.describeTopics([...new Set(topics)]);
  const all = described.flatMap((topic) =>
    topic.partitions.map((partition) => ({ topic: topic.name, partition: partition.partition })),
  );
  if (wanted === undefined) return all;
  for (const partition of wanted) {
    if (all.some((known) => known.partition === partition)) continue;
    const counts = described.map((topic) => `${topic.name} has ${topic.partitions.length}, from 0 up`);
    throw new ProtocolError(
      "UNKNOWN_TOPIC_OR_PARTITION",
      `-p ${partition}: there is no such partition; ${counts.join("; ")}`,
    );
  }
  return all.filter((known) => wanted.includes(known.partition));
}

async function fromOffsets(
  admin: Admin,
  partitions: readonly TopicPartitionRef[],
  start: Start,
  bounds: { readonly starts: ReadonlyMap<string, number>; readonly logEnds: ReadonlyMap<string, number> },
): Promise<ReadonlyMap<string, number>> {
  const { starts, logEnds } = bounds;
  const { tail, from } = start;
  if (from === "beginning") return starts;
  if (tail !== undefined) {
    return new Map([...logEnds].map(([name, end]) => [name, Math.max(starts.get(name) ?? 0, end - tail)]));
  }
  if (from === "end") return logEnds;
  if (typeof from === "number") {
    for (const [name, end] of logEnds) checkInside(name, from, starts.get(name) ?? 0, end);
    return new Map([...logEnds.keys()].map((name) => [name, from]));
  }
  // A time after the last record: read on from the end.
  const found = await offsetsOf(admin, partitions, from);
  return new Map([...logEnds].map(([name, end]) => [name, found.get(name) ?? end]));
}

/** Reading on from somewhere else than what was asked for would look like an answer to it. */
function checkInside(name: string, from: number, first: number, end: number): void {
  if (from >= first && from <= end) return;
  throw operationError(
    "INVALID_ARGUMENT",
    `-o ${from}: ${name} holds the offsets ${first} to ${end} (exclusive)`,
  );
}

async function endOffsets(
  admin: Admin,
  partitions: readonly TopicPartitionRef[],
  until: Date | undefined,
  logEnds: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  if (until === undefined) return logEnds;
  return new Map([...logEnds, ...(await offsetsOf(admin, partitions, until))]);
}

/** Offsets by "topic-partition", without the partitions that have none at or after the time asked for. */
async function offsetsOf(
  admin: Admin,
  partitions: readonly TopicPartitionRef[],
  at: "beginning" | "end" | Date,
): Promise<ReadonlyMap<string, number>> {
  const found = await admin.listOffsets(partitions, at);
  return new Map(found.filter(({ offset }) => offset >= 0).map((one) => [nameOf(one), one.offset]));
}

function nameOf({ topic, partition }: TopicPartitionRef): string {
  return `${topic}-${partition}`;
}
