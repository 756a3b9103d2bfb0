import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IsrStart } from "../../src/replication/isr.ts";
import { IsrModel, LAG_MS, NODES } from "./isr-model.ts";
import type { IsrModelOptions } from "./isr-model.ts";

const who = fc.integer({ min: 1, max: NODES });
const kind = <K extends string>(value: K): fc.Arbitrary<K> => fc.constant(value);
const place = fc.nat(5);

function often<T>(
  weight: number,
  fields: { [K in keyof T]: fc.Arbitrary<T[K]> },
): { readonly weight: number; readonly arbitrary: fc.Arbitrary<T> } {
  return { weight, arbitrary: fc.record(fields) };
}

const step = fc.oneof(
  often(6, { kind: kind("append"), who, count: fc.integer({ min: 1, max: 4 }) }),
  often(2, { kind: kind("flush"), who }),
  often(3, { kind: kind("fetch"), who, count: fc.nat(3) }),
  often(2, { kind: kind("report"), who }),
  often(14, { kind: kind("replicate"), who, count: fc.constantFrom(1, 2, Infinity) }),
  often(1, { kind: kind("lateReport"), place: fc.nat(50) }),
  often(8, { kind: kind("ask"), who }),
  often(6, { kind: kind("deliver"), place }),
  often(5, { kind: kind("answer"), isStateTaken: fc.boolean() }),
  often(1, { kind: kind("lose") }),
  often(4, { kind: kind("metadata"), who, entries: fc.integer({ min: 1, max: 3 }) }),
  often(6, { kind: kind("allMetadata") }),
  often(4, { kind: kind("wait"), ms: fc.integer({ min: 1, max: LAG_MS + 50 }) }),
  often(2, { kind: kind("fence"), who }),
  often(8, { kind: kind("unfence"), who }),
  often(1, { kind: kind("restart"), who, isCrash: fc.boolean() }),
  often(1, { kind: kind("shutDown"), who }),
  often(1, { kind: kind("minimum"), count: fc.integer({ min: 1, max: NODES }) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function run(model: IsrModel, one: Step): void {
  switch (one.kind) {
    case "append": {
      const node = leaderOf(model, one.who);
      model.append(node, one.count);
      return model.advance(node);
    }
    case "flush": {
      const node = model.node(one.who);
      model.flush(node);
      return model.advance(node);
    }
    case "fetch":
      return model.fetch(model.node(one.who), one.count);
    case "report":
      return model.report(model.node(one.who));
    case "replicate":
      return replicate(model, one.who, one.count);
    case "lateReport": {
      const late = model.lateReports[one.place % Math.max(model.lateReports.length, 1)];
      return late === undefined ? undefined : model.deliverReport(late);
    }
    case "ask":
      return model.ask(leaderOf(model, one.who));
    case "deliver":
      return model.deliver(one.place);
    case "answer":
      return model.answer(one.isStateTaken);
    case "lose":
      return model.lose();
    case "metadata":
      return model.applyMetadata(model.node(one.who), one.entries);
    case "allMetadata":
      for (const node of model.nodes) model.applyMetadata(node);
      return undefined;
    case "wait":
      return model.wait(one.ms);
    case "fence":
      return void model.cluster.fence(one.who);
    case "unfence":
      return void model.cluster.unfence(one.who);
    case "restart":
      return model.restart(model.node(one.who), one.isCrash);
    case "shutDown":
      return void model.cluster.shutDown(one.who);
    default:
      return model.setMinInsyncReplicas(one.count);
  }
}

/** One of those that take themselves for the leader, or else anybody. */
function leaderOf(model: IsrModel, place: number): IsrModel["nodes"][number] {
  const leaders = model.nodes.filter(({ leader }) => leader !== undefined);
  return leaders[place % Math.max(leaders.length, 1)] ?? model.node(place);
}

/** Reads what there is, stores it and says so; a leader stores its own. */
function replicate(model: IsrModel, id: number, maxRecords = Infinity): void {
  const node = model.node(id);
  model.fetch(node, maxRecords);
  model.flush(node);
  model.advance(node);
  model.report(node);
}

function schedules(options: IsrModelOptions, onEnd: (model: IsrModel) => void): fc.IProperty<[Step[]]> {
  return fc.property(fc.array(step, { minLength: 100, maxLength: 200, size: "max" }), (steps) => {
    const model = new IsrModel(options);
    for (const one of steps) {
      run(model, one);
      model.check();
    }
    onEnd(model);
  });
}

test("whatever arrives late, twice or never, what was committed is on every member of the ISR (StrongIsr; H25, H36, H39)", () => {
  const seen = { joins: 0, leaves: 0, lost: 0, epochs: 0, committed: 0 };
  const property = schedules({}, (model) => {
    model.settle();
    for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += model.counts[key];
  });
  fc.assert(property, { numRuns: 300 });
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(50);
});

describe("a leader with a rule left out loses records, and that is noticed", () => {
  const SABOTAGES = ["committedIsrOnly", "joinWithoutEpochStart"] as const;
  test.each(SABOTAGES)("%s, by schedules that are left to chance", (sabotage) => {
    const options = { sabotage, isOutcomeOnly: true };
    const found = fc.check(
      schedules(options, () => undefined),
      { numRuns: 5000, endOnFailure: true, seed: 7 },
    );
    expect(found.failed).toBe(true);
    expect(String(found.errorInstance)).toContain("has stored all that was ever committed");
  });

  /** Broker 3 is asked for while it lacks what is committed before the controller says yes. */
  function growWhileWriting(sabotage?: IsrStart["sabotage"]): IsrModel {
    const model = new IsrModel({ isOutcomeOnly: true, ...(sabotage === undefined ? {} : { sabotage }) });
    model.cluster.fence(3);
    model.cluster.unfence(3);
    for (const node of model.nodes) model.applyMetadata(node);
    for (const id of [1, 2, 3]) replicate(model, id);
    model.ask(model.node(1));
    model.append(model.node(1), 5);
    for (const id of [1, 2]) replicate(model, id);
    model.check();
    model.deliver(0);
    model.check();
    return model;
  }

  test("the high watermark waits for a broker that may be in the ISR by now (KIP-497)", () => {
    expect(growWhileWriting().highWatermarks).toEqual([0, undefined, undefined]);
    expect(() => growWhileWriting("committedIsrOnly")).toThrow("broker 3 counts and has stored");
  });

  /** Broker 2 leads without knowing that broker 1 and it had committed records, and broker 3 has none of them. */
  function growAfterElection(sabotage?: IsrStart["sabotage"]): IsrModel {
    const model = new IsrModel({ isOutcomeOnly: true, ...(sabotage === undefined ? {} : { sabotage }) });
    model.cluster.fence(3);
    for (const node of model.nodes) model.applyMetadata(node);
    model.append(model.node(1), 5);
    for (const id of [1, 2]) replicate(model, id);
    model.check();
    model.cluster.fence(1);
    model.cluster.unfence(3);
    for (const node of model.nodes) model.applyMetadata(node);
    const third = model.node(3);
    model.fetch(third, 0);
    model.report(third);
    model.wait(LAG_MS * 2);
    model.fetch(third, 2);
    model.flush(third);
    model.report(third);
    model.ask(model.node(2));
    model.deliver(0);
    model.check();
    return model;
  }

  test("nobody joins below the epoch's start, however low the high watermark is known (KIP-966)", () => {
    expect(growAfterElection().cluster.shown("a")).toBe("2 [2] [1] []");
    expect(() => growAfterElection("joinWithoutEpochStart")).toThrow("broker 3 counts and has stored");
  });
});
