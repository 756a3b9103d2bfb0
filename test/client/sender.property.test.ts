import fc from "fast-check";
import { expect, test } from "vitest";
import { DeliveryError } from "../../src/client/index.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { harness } from "./harness.ts";
import type { ProduceFate } from "./fake-cluster.ts";

/** How often, in percent, each fault happens. */
interface Faults {
  readonly loseAnswer: number;
  readonly loseRequest: number;
  readonly silence: number;
  readonly refuse: number;
  readonly fail: number;
  readonly appendAndFail: number;
  readonly moveLeader: number;
}

const percent = fc.integer({ min: 0, max: 15 });
const faults: fc.Arbitrary<Faults> = fc.record({
  loseAnswer: percent,
  loseRequest: percent,
  silence: fc.integer({ min: 0, max: 5 }),
  refuse: percent,
  fail: fc.integer({ min: 0, max: 8 }),
  appendAndFail: percent,
  moveLeader: percent,
});

function fateOf(chances: Faults, random: SeededRandom): ProduceFate {
  const die = random.below(100);
  let bound = chances.loseAnswer;
  if (die < bound) return "lose-answer";
  if (die < (bound += chances.loseRequest)) return "lose-request";
  if (die < (bound += chances.silence)) return "silence";
  if (die < (bound += chances.refuse)) return { error: "NOT_ENOUGH_REPLICAS" };
  if (die < (bound += chances.fail)) return { error: "INVALID_RECORD" };
  if (die < bound + chances.appendAndFail)
    return { error: "NOT_ENOUGH_REPLICAS_AFTER_APPEND", appends: true };
  return "ok";
}

test("whatever fails, each acknowledged record is in the log once, in order, and no failed one is", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      faults,
      fc.integer({ min: 1, max: 3 }),
      async (seed, chances, partitions) => {
        const random = new SeededRandom(seed);
        const h = harness(
          { topics: { t: partitions }, brokers: 2, latencyMs: 3, windowBytes: 4000 },
          { requestTimeoutMs: 400, retry: { initialMs: 10, maxMs: 80 } },
          seed,
        );
        const { client, cluster, scheduler, settle } = h;
        cluster.produceFate = () => {
          if (random.below(100) < chances.moveLeader) {
            const partition = random.below(partitions);
            cluster.moveLeader("t", partition, 1 - cluster.log("t", partition).leaderId);
          }
          return fateOf(chances, random);
        };
        const producer = client.producer({ batchSize: 300, lingerMs: 1, deliveryTimeoutMs: 3000 });
        const sent: { value: string; partition: number; result: Promise<unknown> }[] = [];
        for (let round = 0; round < 12; round++) {
          const count = random.below(15);
          for (let i = 0; i < count; i++) {
            const value = `${sent.length}`.padEnd(20 + random.below(80));
            const partition = random.below(partitions);
            const result = producer.send("t", { value, partition }).catch((error: unknown) => error);
            sent.push({ value, partition, result });
          }
          await scheduler.advance(random.below(40));
        }
        const results = await settle(Promise.all(sent.map(({ result }) => result)));
        await settle(client.close());
        await scheduler.advance(20);
        expect(scheduler.pendingCount).toBe(0);
        for (let partition = 0; partition < partitions; partition++) {
          const written = cluster.log("t", partition).values();
          const acked: string[] = [];
          const positions = new Map<string, number[]>();
          for (const [index, value] of written.entries())
            positions.set(value, [...(positions.get(value) ?? []), index]);
          for (const [index, { value, partition: target }] of sent.entries()) {
            if (target !== partition) continue;
            const result = results[index];
            const found = positions.get(value) ?? [];
            if (!(result instanceof Error)) {
              acked.push(value);
              expect(found, `acknowledged: ${value}`).toHaveLength(1);
              expect(result).toMatchObject({ partition, offset: found[0] });
            } else {
              expect(result).toBeInstanceOf(DeliveryError);
              const { outcome } = result as DeliveryError;
              expect(found.length, `${outcome}: ${value}`).toBeLessThanOrEqual(outcome === "failed" ? 0 : 1);
            }
          }
          const order = written.filter((value) => acked.includes(value));
          expect(order).toEqual(acked);
        }
      },
    ),
    { numRuns: 150 },
  );
});
