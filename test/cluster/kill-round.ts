import { Deferred } from "../../src/base/deferred.ts";
import { LograftClient } from "../../src/client/index.ts";
import { BrokerProcess } from "../../src/chaos/broker-process.ts";

/** A record of the input; `key` decides the partition, so the order of a key is fixed. */
export interface KeyedRecord {
  readonly key: string;
  readonly value: string;
}

/** What one round did and found; a round is good when `faults` is empty. */
export interface KillRound {
  readonly sent: number;
  readonly acknowledgedBeforeKill: number;
  readonly acknowledged: number;
  readonly recoveryMs: number;
  readonly faults: readonly string[];
}

export interface KillRoundOptions {
  readonly records: readonly KeyedRecord[];
  readonly dataDirectory: string;
  readonly port: number;
  readonly topic: string;
  readonly partitions: number;
  /** The broker is killed when so many records are acknowledged. */
  readonly killAfter: number;
  readonly settings?: readonly string[];
}

interface Ack {
  readonly partition: number;
  readonly offset: number;
}

/**
 * Sends all records through a broker that is killed (SIGKILL) in the middle and started again on the same directory,
 * then reads everything back and judges: every acknowledged record is at its acknowledged offset, once; no record
 * appears twice; none was invented; each key's records are in the order sent.
 */
export async function runKillRound(options: KillRoundOptions): Promise<KillRound> {
  const start = async (): Promise<BrokerProcess> =>
    BrokerProcess.start({
      dataDirectory: options.dataDirectory,
      port: options.port,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
  let broker = await start();
  try {
    await using client = new LograftClient({ brokers: [broker.address], clientId: "kill-round" });
    await client.admin().createTopics([{ name: options.topic, partitions: options.partitions }]);
    const acks: (Ack | undefined)[] = options.records.map(() => undefined);
    let acknowledged = 0;
    const reachedKill = new Deferred<void>();
    if (options.killAfter === 0) reachedKill.resolve();

    const produceAll = async (): Promise<void> => {
      await using producer = client.producer({ acks: "all", deliveryTimeoutMs: 60_000 });
      const sends: Promise<void>[] = [];
      for (const [i, record] of options.records.entries()) {
        sends.push(
          producer.send(options.topic, record).then((ack) => {
            acks[i] = { partition: ack.partition, offset: ack.offset };
            acknowledged++;
            if (acknowledged >= options.killAfter) reachedKill.resolve();
          }),
        );
        // A bounded number of open sends, so that the kill falls into the stream of them and not behind it.
        if (sends.length >= 5_000) await Promise.all(sends.splice(0));
      }
      await Promise.all(sends);
    };
    const produced = produceAll();
    await Promise.race([reachedKill.promise, produced]);
    const acknowledgedBeforeKill = acknowledged;
    await broker.kill();
    const restartedAt = performance.now();
    broker = await start();
    const recoveryMs = performance.now() - restartedAt;
    await produced;

    const faults = await judge(client, options, acks);
    return { sent: options.records.length, acknowledgedBeforeKill, acknowledged, recoveryMs, faults };
  } finally {
    await broker.stop();
  }
}

async function judge(
  client: LograftClient,
  options: KillRoundOptions,
  acks: readonly (Ack | undefined)[],
): Promise<string[]> {
  const faults: string[] = [];
  const found = await readAll(client, options);
  const identities = options.records.map(identityOf);
  const at = new Map<string, number>();
  for (const [i, identity] of identities.entries()) at.set(identity, i);
  const seen = new Set<number>();
  const lastOfKey = new Map<string, number>();
  for (const record of found) {
    const i = at.get(`${record.key}\u0000${record.value}`);
    if (i === undefined) {
      faults.push(
        `invented: partition ${record.partition} offset ${record.offset} holds what was never sent`,
      );
      continue;
    }
    if (seen.has(i))
      faults.push(`duplicate: record ${i} again at partition ${record.partition} offset ${record.offset}`);
    seen.add(i);
    if (i < (lastOfKey.get(record.key) ?? -1))
      faults.push(`order: record ${i} of key ${record.key} stands too late`);
    lastOfKey.set(record.key, i);
    const ack = acks[i];
    if (ack !== undefined && (ack.partition !== record.partition || ack.offset !== record.offset)) {
      faults.push(
        `moved: record ${i} was acknowledged at ${ack.partition}/${ack.offset}, is at ${record.partition}/${record.offset}`,
      );
    }
  }
  for (const [i, ack] of acks.entries()) {
    if (ack !== undefined && !seen.has(i))
      faults.push(`lost: record ${i}, acknowledged at ${ack.partition}/${ack.offset}`);
  }
  return faults;
}

interface FoundRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
}

async function readAll(client: LograftClient, options: KillRoundOptions): Promise<FoundRecord[]> {
  const partitions = Array.from({ length: options.partitions }, (_, partition) => ({
    topic: options.topic,
    partition,
  }));
  const ends = await client.admin().listOffsets(partitions, "end");
  const total = ends.reduce((sum, end) => sum + end.offset, 0);
  const found: FoundRecord[] = [];
  if (total === 0) return found;
  await using consumer = client.consumer({
    assign: partitions.map((partition) => ({ ...partition, from: "beginning" as const })),
  });
  const text = new TextDecoder();
  for await (const batch of consumer.batches({ signal: AbortSignal.timeout(60_000) })) {
    for (const record of batch) {
      found.push({
        partition: batch.partition,
        offset: record.offset,
        key: text.decode(record.key ?? undefined),
        value: text.decode(record.value ?? undefined),
      });
    }
    if (found.length >= total) break;
  }
  return found.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset);
}

function identityOf(record: KeyedRecord): string {
  return `${record.key}\u0000${record.value}`;
}
