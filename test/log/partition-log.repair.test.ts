import { describe, expect, test } from "vitest";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { baseOffsetOf } from "../../src/model/record-batch.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { dropAll, keepAll, randomCrash } from "../../src/sim/crash-policy.ts";
import type { SimDisk } from "../../src/sim/sim-disk.ts";
import { BATCHES, CONFIG, NO_CACHE, original, victims, written } from "./damaged-log.ts";
import { accepted, append, at, DIRECTORY, machineOn, openLog, readAll } from "./engine.ts";
import type { SimMachine } from "./engine.ts";

describe("cutDamage", () => {
  const files = (disk: SimDisk): Map<string, string> =>
    new Map(
      [...disk.snapshotFiles()]
        .filter(([path]) => path.startsWith(DIRECTORY) && !path.endsWith(".deleted"))
        .map(([path, content]) => [path, Buffer.from(content).toString("hex")]),
    );

  const refill = async (m: SimMachine, log: PartitionLog, bytes: readonly Buffer[]): Promise<void> => {
    for (const batch of bytes) {
      if (baseOffsetOf(batch) < log.logEndOffset) continue;
      const result = log.appendReplicated(Buffer.from(batch), { leaderEpoch: 9 as LeaderEpoch });
      await m.run(accepted(result).done);
    }
  };

  test.each(["found at run time", "found when it is opened"])(
    "of damage %s makes room for the leader's batches, which give the files of an undamaged twin",
    async (when) => {
      const { m, log, batches, bytes } = await written();
      const image = m.disk.imageAfter(keepAll);
      await m.run(log.close());
      const whole = files(m.disk);
      for (const victim of victims(batches).slice(0, 8)) {
        const disk = image.imageAfter(keepAll);
        const machine = machineOn(disk, m.clock, NO_CACHE);
        const flip = (): void => disk.flipBit(victim.path, (victim.position + 70) * 8);
        if (when === "found when it is opened") flip();
        const twin = await m.run(openLog(machine, CONFIG, { exists: true }));
        if (when === "found at run time") {
          flip();
          await m.run(twin.scrub());
        }
        const label = `${victim.path} at ${victim.position}`;
        expect(twin.state, label).toBe(when === "found at run time" ? "open" : "offline");
        expect(twin.damage?.offset, label).toBe(victim.offset);
        expect(await m.run(twin.cutDamage())).toBe(victim.offset);
        expect([twin.state, twin.damage, twin.failure]).toEqual(["open", undefined, undefined]);
        expect([twin.logEndOffset, twin.durableEndOffset]).toEqual([victim.offset, victim.offset]);
        expect(machine.host.recoveryPoints).toContain(victim.offset);
        await refill(m, twin, bytes);
        expect((await m.run(readAll(twin))).map(({ value }) => value)).toEqual(
          Array.from({ length: BATCHES * 2 }, (_, offset) => original(offset)),
        );
        await m.run(twin.close());
        expect(files(disk), label).toEqual(whole);
      }
    },
  );

  test("goes on to what is damaged below, which it meets when it recalls the producers", async () => {
    const { m, log, batches } = await written();
    const active = batches.filter(({ path }) => path === batches.at(-1)?.path);
    const [, lower, higher] = active;
    if (lower === undefined || higher === undefined) expect.fail();
    m.disk.flipBit(higher.path, (higher.position + 70) * 8);
    await m.run(log.scrub());
    expect(log.damage?.offset).toBe(higher.offset);
    m.disk.flipBit(lower.path, (lower.position + 70) * 8);
    expect(await m.run(log.cutDamage())).toBe(lower.offset);
    expect([log.state, log.damage]).toEqual(["open", undefined]);
    await m.run(log.close());
  });

  test("without damage answers the end and does nothing", async () => {
    const { m, log } = await written();
    const before = m.disk.mutationCount;
    expect(await m.run(log.cutDamage())).toBe(BATCHES * 2);
    expect(m.disk.mutationCount).toBe(before);
  });

  test("rejects when a failed disk has taken the log offline, which it stays", async () => {
    const { m, log, batches } = await written();
    m.disk.flipBit(batches[2]?.path ?? "", 70 * 8);
    await m.run(log.scrub());
    m.disk.faults.arm({
      kind: "error",
      operations: ["sync"],
      errno: "EIO",
      path: (path) => path.endsWith(".log"),
    });
    await expect(m.run(log.cutDamage())).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    await expect(m.run(log.cutDamage())).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    expect([log.state, m.host.offline.length]).toEqual(["offline", 1]);
  });

  test("of damage below the log start empties the log there", async () => {
    const { m, log, batches } = await written();
    await m.run(log.advanceLogStart(at(5)));
    m.disk.flipBit(batches[0]?.path ?? "", 70 * 8);
    await m.run(log.scrub());
    expect(log.damage?.offset).toBe(0);
    expect(await m.run(log.cutDamage())).toBe(5);
    expect([log.logStartOffset, log.logEndOffset, log.segmentCount, log.damage]).toEqual([
      5,
      5,
      1,
      undefined,
    ]);
    const next = accepted(append(log, ["x"], 9));
    expect(next.baseOffset).toBe(5);
    await m.run(next.done);
  });

  test("forgets producers and epochs of what it cuts", async () => {
    const { m, log, batches } = await written();
    m.disk.flipBit(batches[9]?.path ?? "", ((batches[9]?.position ?? 0) + 70) * 8);
    await m.run(log.scrub());
    await m.run(log.cutDamage());
    expect(log.latestEpoch).toBe(1);
    expect(log.endOffsetForEpoch(1 as LeaderEpoch)).toEqual({ epoch: 1, endOffset: 18 });
  });

  test("called twice at the same time cuts once", async () => {
    const { m, log, batches } = await written();
    m.disk.flipBit(batches[9]?.path ?? "", ((batches[9]?.position ?? 0) + 70) * 8);
    await m.run(log.close());
    const again = await m.open(CONFIG, { exists: true });
    expect(again.state).toBe("offline");
    expect(await m.run(Promise.all([again.cutDamage(), again.cutDamage()]))).toEqual([18, 18]);
    expect(again.state).toBe("open");
  });

  test.each(["at run time", "when it is opened"])(
    "of damage found %s leaves a log that opens, whole or cut again, after a crash at any operation",
    async (when) => {
      const { m, batches, bytes } = await written();
      const victim = batches[4] ?? expect.fail();
      const image = m.disk.imageAfter(keepAll);
      const cutting = async (failAfterOperations?: number): Promise<SimDisk> => {
        const copy = image.imageAfter(keepAll);
        if (when === "when it is opened") copy.flipBit(victim.path, (victim.position + 70) * 8);
        const before = copy.mutationCount;
        const machine = machineOn(copy, m.clock, NO_CACHE);
        const log = await m.run(openLog(machine, CONFIG, { exists: true, recoveryPoint: at(BATCHES * 2) }));
        if (when === "at run time") copy.flipBit(victim.path, (victim.position + 70) * 8);
        await m.run(log.scrub());
        expect(log.damage?.offset).toBe(victim.offset);
        expect(before).toBe(0);
        if (failAfterOperations !== undefined) {
          copy.faults.arm({
            kind: "error",
            operations: ["create", "write", "truncate", "sync", "makeDir", "rename", "remove", "syncDir"],
            errno: "EIO",
            skip: failAfterOperations,
            times: 1000,
          });
        }
        const at0 = copy.mutationCount;
        await m.run(log.cutDamage().catch(() => undefined));
        if (failAfterOperations === undefined) operations = copy.mutationCount - at0;
        copy.faults.clear();
        return copy;
      };
      let operations = 0;
      await cutting();
      expect(operations).toBeGreaterThan(15);
      for (let n = 0; n <= operations; n++) {
        const left = await cutting(n);
        const policies = [
          keepAll,
          dropAll,
          ...[0, 1, 2].map((seed) => randomCrash(new SeededRandom(n * 10 + seed))),
        ];
        for (const [index, policy] of policies.entries()) {
          const label = `crash after operation ${n}, policy ${index}`;
          const disk = left.imageAfter(policy, { clock: m.clock, random: new SeededRandom(1) });
          // The lowered recovery point is durable before the first cut.
          const again = await m.run(
            openLog(machineOn(disk, m.clock, NO_CACHE), CONFIG, {
              exists: true,
              recoveryPoint: at(victim.offset),
            }),
          );
          const opened = await m.run(readAll(again, 0));
          expect(opened.length, label).toBe(victim.offset);
          expect(await m.run(again.cutDamage()), label).toBe(victim.offset);
          expect(again.state, label).toBe("open");
          await refill(m, again, bytes);
          expect(await m.run(readAll(again)), label).toHaveLength(BATCHES * 2);
          await m.run(again.close());
        }
      }
    },
    30_000,
  );
});
