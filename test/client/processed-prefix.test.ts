import fc from "fast-check";
import { expect, test } from "vitest";
import { ProcessedPrefix } from "../../src/client/processed-prefix.ts";

test("whatever the order of ending, the position is that below which all is done", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 700 }), (order) => {
      const prefix = new ProcessedPrefix<string>();
      const slots = order.map((_, index) => prefix.begin("batch", index + 1));
      const ending = slots.toSorted(
        (a, b) => (order[a.nextOffset - 1] ?? 0) - (order[b.nextOffset - 1] ?? 0),
      );
      let position = 0;
      const done = new Set<number>();
      for (const slot of ending) {
        done.add(slot.nextOffset);
        for (const passed of prefix.done(slot)) {
          expect(passed.nextOffset).toBe(position + 1);
          position = passed.nextOffset;
        }
        let model = 0;
        while (done.has(model + 1)) model++;
        expect(position).toBe(model);
        expect(prefix.pendingCount).toBe(order.length - position);
      }
      expect(position).toBe(order.length);
    }),
    { numRuns: 40 },
  );
});
