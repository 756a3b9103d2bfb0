import { describe, expect, test } from "vitest";
import { DEFAULT_LOG_CONFIG } from "../../src/log/log-config.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { verifyPartition } from "../../src/log/verify-partition.ts";
import type { LeaderEpoch, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { dropAll, keepAll, randomCrash } from "../../src/sim/crash-policy.ts";
import type { CrashPolicy } from "../../src/sim/crash-policy.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import {
  accepted,
  append,
  at,
  DATA,
  DIRECTORY,
  machineOn,
  openLog,
  readAll,
  records,
  SimMachine,
} from "./engine.ts";

const CONFIG: Partial<LogConfig> = { segmentBytes: 700, indexIntervalBytes: 200 };

/** What the process knew when it died. */
interface Knowledge {
  /** Value by offset, for every append that was answered and not truncated since. */
  readonly acknowledged: Map<number, string>;
  /** Every value that was ever given an offset there. */
  readonly attempted: Map<number, Set<string>>;
}

/** Appends, rolls, truncates, appends again; dies in the middle when the disk says so. */
async function history(log: PartitionLog, known: Knowledge): Promise<void> {
  let count = 0;
  const write = async (batches: number, epoch: number, size: number): Promise<void> => {
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < batches; i++) {
      const values = [`${count++}-${"x".repeat(size)}`, `${count++}`];
      const result = append(log, values, epoch);
      if (!result.ok) return;
      for (const [index, value] of values.entries()) {
        const offset = result.baseOffset + index;
        known.attempted.set(offset, (known.attempted.get(offset) ?? new Set()).add(value));
        waiting.push(result.done.then(() => void known.acknowledged.set(offset, value)));
      }
      // Some share a write and a sync, others do not.
      if (i % 3 === 2) await Promise.all(waiting);
    }
    await Promise.all(waiting);
  };
  await write(5, 0, 30);
  await write(6, 1, 90);
  const cut = Math.max(0, log.logEndOffset - 9);
  // From here on nobody counts on what lies behind the cut, whether or not it happens.
  for (const offset of known.acknowledged.keys()) if (offset >= cut - 1) known.acknowledged.delete(offset);
  await log.truncateTo(at(cut));
  await write(7, 2, 60);
  await log.close();
}

async function run(
  config: Partial<LogConfig>,
  failAfterOperations?: number,
): Promise<{ m: SimMachine; disk: SimDisk; known: Knowledge }> {
  const m = new SimMachine();
  await m.prepare();
  const disk = new SimDisk(
    {
      latency: { minMs: 0, maxMs: 2 },
      ...(failAfterOperations === undefined ? {} : { failAfterOperations }),
    },
    { clock: m.clock, random: new SeededRandom(11) },
  );
  const known: Knowledge = { acknowledged: new Map(), attempted: new Map() };
  const work = async (): Promise<void> => {
    await disk.makeDir(DATA);
    await disk.syncDir("/");
    const log = await openLog(machineOn(disk, m.clock), config);
    await history(log, known);
  };
  await m.run(work().catch(() => undefined));
  await m.scheduler.runUntilIdle();
  return { m, disk, known };
}

/** The log after the crash holds what was acknowledged, invents nothing, has no hole, and goes on. */
async function checkImage(
  m: SimMachine,
  image: SimDisk,
  config: Partial<LogConfig>,
  known: Knowledge,
  label: string,
): Promise<void> {
  const exists = (await m.run(image.stat(`${DIRECTORY}/partition.metadata`))) !== undefined;
  const log = await m.run(openLog(machineOn(image, m.clock), config, { exists }));
  expect(log.state, `${label}: ${log.failure?.message ?? ""}`).toBe("open");
  const found = await m.run(readAll(log, 0, 300));
  for (const [index, { offset, value }] of found.entries()) {
    expect(offset, `${label}: offsets are contiguous`).toBe(index);
    expect(
      known.attempted.get(offset)?.has(value),
      `${label}: ${value} at ${offset} was never appended`,
    ).toBe(true);
  }
  for (const [offset, value] of known.acknowledged) {
    expect(found[offset]?.value, `${label}: the acknowledged record at ${offset}`).toBe(value);
  }
  const before = log.logEndOffset;
  const next = accepted(append(log, ["after the crash"], 9));
  expect(next.baseOffset).toBe(before);
  await m.run(next.done);
  await m.run(log.close());
  const report = await m.run(verifyPartition(image, DIRECTORY));
  expect(report.findings, label).toEqual([]);
  expect(report.endOffset, label).toBe(before + 1);
}

describe("a crash at every operation of the disk", () => {
  test.each([
    { kind: "saves its indexes", config: CONFIG },
    { kind: "is too little to save them", config: { ...CONFIG, unsavedSegmentBytes: 350 } },
  ])(
    "loses, invents and skips nothing, and the log goes on, whose active segment $kind",
    async ({ config }) => {
      const whole = await run(config);
      const total = whole.disk.mutationCount;
      expect(whole.known.acknowledged.size).toBeGreaterThan(15);
      expect(total).toBeGreaterThan(60);
      let images = 0;
      for (let n = 0; n <= total; n++) {
        const { m, disk, known } = await run(config, n);
        const policies: [string, CrashPolicy][] = [
          ["keep all", keepAll],
          ["drop all", dropAll],
        ];
        for (let seed = 0; seed < 6; seed++)
          policies.push([`seed ${seed}`, randomCrash(new SeededRandom(n * 100 + seed))]);
        for (const [name, policy] of policies) {
          const image = disk.imageAfter(policy, { clock: m.clock, random: new SeededRandom(1) });
          await checkImage(m, image, config, known, `crash after operation ${n}, ${name}`);
          images++;
        }
      }
      expect(images).toBe((total + 1) * 8);
    },
    60_000,
  );
});

describe("a killed process", () => {
  test("under the policy os keeps all that was answered: the machine lived", async () => {
    const m = new SimMachine();
    await m.prepare();
    const log = await m.open({ ...CONFIG, flushPolicy: "os" });
    for (let i = 0; i < 20; i++) await m.run(accepted(append(log, [`${i}`])).done);
    m.restartOn(m.disk.crashKeepingAll());
    const again = await m.open(CONFIG, { exists: true });
    expect((await m.run(readAll(again))).map(({ value }) => value)).toEqual(
      Array.from({ length: 20 }, (_, i) => `${i}`),
    );
  });

  test("that is restarted and crashes before anything new loses nothing either: recovery made it durable", async () => {
    const m = new SimMachine();
    await m.prepare();
    const log = await m.open({ ...CONFIG, flushPolicy: "os" });
    for (let i = 0; i < 20; i++) await m.run(accepted(append(log, [`${i}`])).done);
    m.restartOn(m.disk.crashKeepingAll());
    const again = await m.open(CONFIG, { exists: true });
    expect(again.durableEndOffset).toBe(20);
    m.restartOn(m.disk.crashDroppingAll());
    const third = await m.open(CONFIG, { exists: true });
    expect(await m.run(readAll(third))).toHaveLength(20);
  });
});

describe("a damaged log", () => {
  const LOG = `${DIRECTORY}/00000000000000000000.log`;

  async function written(count = 6): Promise<{ m: SimMachine; sizes: number[] }> {
    const m = new SimMachine();
    await m.prepare();
    const log = await m.open({ segmentBytes: DEFAULT_LOG_CONFIG.segmentBytes });
    const sizes: number[] = [];
    for (let i = 0; i < count; i++) {
      await m.run(accepted(append(log, [`value ${i}`])).done);
      sizes.push(log.sizeBytes);
    }
    m.restartOn(m.disk.crashKeepingAll());
    return { m, sizes };
  }

  test("cut at every byte of its last batch keeps exactly the batches before it", async () => {
    const { m, sizes } = await written(3);
    const [, second = 0, third = 0] = sizes;
    for (let size = second; size < third; size++) {
      const image = m.disk.imageAfter(keepAll);
      const file = await m.run(image.open(LOG, "write"));
      await m.run(file.truncate(size));
      const log = await m.run(openLog(machineOn(image, m.clock), {}, { exists: true }));
      expect([log.state, log.logEndOffset, log.sizeBytes]).toEqual(["open", 2, second]);
    }
  });

  test("with its last page zeroed loses only that tail", async () => {
    const { m, sizes } = await written();
    const file = await m.run(m.disk.open(LOG, "write"));
    const from = (sizes[3] ?? 0) + 20;
    await m.run(file.write([Buffer.alloc((sizes[5] ?? 0) - from)], from));
    const log = await m.open({}, { exists: true });
    expect([log.state, log.logEndOffset]).toEqual(["open", 4]);
  });

  test("by a flipped bit below the recovery point goes offline, is not cut, and is served below the damage", async () => {
    const { m, sizes } = await written();
    m.disk.flipBit(LOG, ((sizes[4] ?? 0) + 70) * 8);
    const log = await m.open({}, { exists: true, recoveryPoint: at(6) });
    expect(log.state).toBe("offline");
    expect(log.failure?.message).toContain(`${LOG} is damaged at byte ${sizes[4]}`);
    expect(append(log, ["no"])).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
    expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(
      [0, 1, 2, 3, 4].map((i) => `value ${i}`),
    );
    expect((await m.run(m.disk.stat(LOG)))?.sizeBytes).toBe(sizes[5]);
  });

  test("by a flipped bit with whole batches behind it goes offline and is not cut (H46)", async () => {
    for (const damaged of [1, 2, 4]) {
      const { m, sizes } = await written();
      m.disk.flipBit(LOG, ((sizes[damaged - 1] ?? 0) + 70) * 8);
      const log = await m.open({}, { exists: true });
      expect([log.state, log.logEndOffset]).toEqual(["offline", damaged]);
      expect((await m.run(m.disk.stat(LOG)))?.sizeBytes).toBe(sizes[5]);
    }
  });

  test("by a flipped bit in a base offset, which no checksum covers, is found by the hole it makes", async () => {
    for (const recoveryPoint of [0, 6]) {
      const { m, sizes } = await written();
      m.disk.flipBit(LOG, ((sizes[1] ?? 0) + 7) * 8 + 4);
      const log = await m.open({}, { exists: true, recoveryPoint: at(recoveryPoint) });
      expect([log.state, log.logEndOffset]).toEqual(["offline", 2]);
    }
  });

  test("by a flipped bit in the last batch, above the recovery point, is taken for a torn write", async () => {
    const { m, sizes } = await written();
    m.disk.flipBit(LOG, ((sizes[4] ?? 0) + 70) * 8);
    const log = await m.open({}, { exists: true, recoveryPoint: at(5) });
    expect([log.state, log.logEndOffset]).toEqual(["open", 5]);
  });

  test("in a segment that another one follows is damage, wherever it is", async () => {
    const m = new SimMachine();
    await m.prepare();
    const log = await m.open(CONFIG);
    for (let i = 0; i < 30; i++) await m.run(accepted(append(log, [`value ${i}`])).done);
    m.restartOn(m.disk.crashKeepingAll());
    const size = (await m.run(m.disk.stat(LOG)))?.sizeBytes ?? 0;
    const file = await m.run(m.disk.open(LOG, "write"));
    await m.run(file.truncate(size - 3));
    const again = await m.open(CONFIG, { exists: true });
    expect(again.state).toBe("offline");
    expect(
      (await m.run(m.disk.list(DIRECTORY))).filter(({ name }) => name.endsWith(".log")).length,
    ).toBeGreaterThan(2);
  });

  test("that is shorter than its recovery point says so instead of going on", async () => {
    const { m, sizes } = await written();
    const file = await m.run(m.disk.open(LOG, "write"));
    await m.run(file.truncate(sizes[2] ?? 0));
    const log = await m.open({}, { exists: true, recoveryPoint: at(6) });
    expect([log.state, log.logEndOffset]).toEqual(["offline", 3]);
  });

  test("with every small file and index damaged opens with the same records", async () => {
    const m = new SimMachine();
    await m.prepare();
    const log = await m.open(CONFIG);
    const producer = {
      producerId: 5 as ProducerId,
      producerEpoch: 0 as ProducerEpoch,
      isTransactional: false,
    };
    for (let i = 0; i < 20; i++) {
      const batch = records([`value ${i}`], { producer: { ...producer, baseSequence: i } });
      await m.run(
        accepted(
          log.append(batch, {
            leaderEpoch: i < 7 ? (0 as LeaderEpoch) : (3 as LeaderEpoch),
            origin: "client",
          }),
        ).done,
      );
    }
    const expected = await m.run(readAll(log));
    await m.run(log.close());
    const names = (await m.run(m.disk.list(DIRECTORY)))
      .map(({ name }) => name)
      .filter((name) => !/log$|metadata$/.test(name));
    expect(names.length).toBeGreaterThan(8);
    for (const clean of [true, false]) {
      for (const [damage, random] of [
        ["zeros", undefined],
        ["empty", undefined],
        ["noise", new SeededRandom(3)],
      ] as const) {
        const image = m.disk.imageAfter(keepAll);
        for (const name of names) {
          const file = await m.run(image.open(`${DIRECTORY}/${name}`, "write"));
          const size = await m.run(file.sizeBytes());
          if (damage === "empty") await m.run(file.truncate(0));
          else await m.run(file.write([random?.bytes(size + 8) ?? Buffer.alloc(size + 8)], 0));
        }
        const again = await m.run(openLog(machineOn(image, m.clock), CONFIG, { exists: true, clean }));
        expect(await m.run(readAll(again)), `${damage}`).toEqual(expected);
        expect(again.endOffsetForEpoch(0 as LeaderEpoch)).toEqual({ epoch: 0, endOffset: 7 });
        expect(again.producerCount).toBe(1);
        await m.run(again.close());
      }
    }
  });
});
