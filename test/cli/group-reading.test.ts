import { expect, test } from "vitest";
import type { CliContext } from "../../src/cli/context.ts";
import { readGroup } from "../../src/cli/group-reading.ts";
import type { PrintableRecord } from "../../src/cli/record-format.ts";

/** A context whose consumer gives batches of 3 records each; a batch is committed when the next is asked for. */
function scene() {
  const commits: number[] = [];
  let text = "";
  let options: unknown;
  let isClosed = false;
  const notes: string[] = [];
  let tell: (error: { code: string; message: string }) => void = () => undefined;
  const consumer = {
    on: (_name: "error", listener: typeof tell) => {
      tell = listener;
      return () => undefined;
    },
    async *batches() {
      for (let base = 0; ; base += 3) {
        const records = [0, 1, 2].map((n) => ({ offset: base + n }));
        yield {
          committer: (next: number) => Promise.resolve(void commits.push(next)),
          [Symbol.iterator]: () => records.values(),
        };
        await Promise.resolve();
        commits.push(base + 3);
      }
    },
    [Symbol.asyncDispose]: () => {
      isClosed = true;
      return Promise.resolve();
    },
  };
  const context = {
    signal: new AbortController().signal,
    output: {
      note: (line: string) => void notes.push(line),
      drained: () => Promise.resolve(),
      write: (data: string) => (text += data) !== "",
    },
    client: {
      admin: () => ({ describeTopics: () => Promise.resolve([]) }),
      consumer: (given: unknown) => {
        options = given;
        return consumer;
      },
    },
  } as unknown as CliContext;
  const fail = (code: string, message: string): void => tell({ code, message });
  return { context, commits, notes, fail, seen: () => ({ text, options, isClosed }) };
}

const print = ({ offset }: PrintableRecord): string => `${offset} `;

test("reads as a member, prints up to the limit and commits what was printed, no more", async () => {
  const { context, commits, seen } = scene();
  await readGroup(context, { groupId: "g", topics: ["t"], reset: "latest", limit: 5, print });
  expect(commits).toEqual([3, 5]);
  expect(seen()).toEqual({
    text: "0 1 2 3 4 ",
    options: { groupId: "g", topics: ["t"], autoOffsetReset: "latest" },
    isClosed: true,
  });
});

test("tells what is tried again once", async () => {
  const { context, fail, notes } = scene();
  const reading = readGroup(context, { groupId: "g", topics: [/t/], reset: "latest", limit: 5, print });
  for (let attempt = 0; attempt < 3; attempt++) fail("COORDINATOR_LOAD_IN_PROGRESS", "it is being read");
  fail("NETWORK_EXCEPTION", "gone");
  expect(notes).toEqual(["lograft: it is being read", "lograft: gone"]);
  await reading;
});
