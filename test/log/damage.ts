import * as fc from "fast-check";
import { expect } from "vitest";

/**
 * What a parser of a file format must withstand: every truncation of a valid content, and random flips of its bytes. It
 * answers undefined, or something that is exactly the damaged content when written again; it never throws or loops.
 */
export function expectParserWithstandsDamage(
  valid: Buffer,
  rewrite: (content: Buffer) => Buffer | undefined,
): void {
  expect(rewrite(valid)).toEqual(valid);
  const check = (content: Buffer): void => {
    const written = rewrite(content);
    if (written !== undefined) expect(written.equals(content), content.toString("hex")).toBe(true);
  };
  for (let size = 0; size < valid.length; size++) check(valid.subarray(0, size));
  if (valid.length === 0) return;
  const flip = fc.record({ at: fc.nat(valid.length - 1), mask: fc.integer({ min: 1, max: 255 }) });
  fc.assert(
    fc.property(fc.array(flip, { minLength: 1, maxLength: 4 }), fc.nat(8), (flips, extra) => {
      const content = Buffer.concat([valid, Buffer.alloc(extra)]);
      for (const { at, mask } of flips) content[at] = (content[at] ?? 0) ^ mask;
      check(content);
    }),
    { numRuns: 300 },
  );
}
