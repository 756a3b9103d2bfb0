import fc from "fast-check";
import { expect, test } from "vitest";
import { readLines } from "../../src/cli/line-reader.ts";

async function* pieces(parts: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array | string> {
  yield* parts;
}

async function linesOf(parts: readonly (Uint8Array | string)[], maxLineBytes = 1000): Promise<string[]> {
  const lines: string[] = [];
  await readLines(pieces(parts), maxLineBytes, {
    onLine: (line) => {
      lines.push(Buffer.from(line).toString("utf8"));
      return true;
    },
    ready: () => Promise.reject(new Error("nothing was refused")),
  });
  return lines;
}

test("every cut of an input into two pieces, and into single bytes, gives the same lines", async () => {
  const input = Buffer.from("a\r\n\nbc\nd\re\n\r\n终");
  const expected = ["a", "", "bc", "d\re", "", "终"];
  for (let cut = 0; cut <= input.length; cut++) {
    expect(await linesOf([input.subarray(0, cut), input.subarray(cut)]), `cut at ${cut}`).toEqual(expected);
  }
  expect(await linesOf(Array.from(input, (byte) => Uint8Array.of(byte)))).toEqual(expected);
});

test("any input in any pieces gives the lines of a plain split", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "\n", "\r", "é"), maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(60), { maxLength: 6 }), async (input, cuts) => {
      const bytes = Buffer.from(input);
      const places = [
        0,
        ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b),
        bytes.length,
      ];
      const parts = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
      const expected = input.split("\n");
      const last = expected.pop() ?? "";
      const lines = expected.map((line) => line.replace(/\r$/, ""));
      if (last !== "") lines.push(last.replace(/\r$/, ""));
      // A final "\r" without its newline belongs to the line.
      if (last.endsWith("\r")) lines[lines.length - 1] = last;
      expect(await linesOf(parts)).toEqual(lines);
    }),
  );
});

test("an empty input has no lines, and a newline at the end makes none", async () => {
  expect(await linesOf([])).toEqual([]);
  expect(await linesOf([""])).toEqual([]);
  expect(await linesOf(["a\n"])).toEqual(["a"]);
});

test("a line of the greatest length is taken, one byte more is refused with its number", async () => {
  expect(await linesOf(["1234\r\n12", "34"], 4)).toEqual(["1234", "1234"]);
  await expect(linesOf(["1\n12345\n"], 4)).rejects.toThrow("line 2 is longer than 4 bytes; raise --max-line");
  await expect(linesOf(["1\n12345"], 4)).rejects.toThrow("line 2");
  await expect(linesOf(["1\n123", "456789"], 4)).rejects.toThrow("line 2");
});

test("an endless line is refused without being gathered", async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      given++;
      yield new Uint8Array(100).fill(65);
    }
  }
  const sink = { onLine: () => true, ready: () => Promise.resolve() };
  await expect(readLines(endless(), 1000, sink)).rejects.toThrow("longer than 1000 bytes");
  expect(given).toBe(11);
});

test("a refused line pauses the reading until the sink is ready, also at the end", async () => {
  const events: string[] = [];
  await readLines(pieces(["a\nb\nc"]), 10, {
    onLine: (line) => {
      events.push(Buffer.from(line).toString());
      return false;
    },
    ready: () => {
      events.push("ready");
      return Promise.resolve();
    },
  });
  expect(events).toEqual(["a", "ready", "b", "ready", "c", "ready"]);
});

test("the bytes of each piece are reported", async () => {
  let bytes = 0;
  await readLines(pieces(["ab\n", "c"]), 10, {
    onLine: () => true,
    ready: () => Promise.resolve(),
    onBytes: (count) => {
      bytes += count;
    },
  });
  expect(bytes).toBe(4);
});
