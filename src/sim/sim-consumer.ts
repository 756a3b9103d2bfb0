import { LograftError } from "../base/errors.ts";
import { LATEST_TIMESTAMP } from "../broker/handlers/offsets.ts";
import type { MicroOperation, ReadRecord } from "../history/history-line.ts";
import { decodeBody } from "../history/record-body.ts";
import {
  baseSequenceOf,
  batchSizeOf,
  leaderEpochOf,
  producerEpochOf,
  producerIdOf,
} from "../model/record-batch.ts";
import { decodeRecords } from "../model/record-reader.ts";
import type { MarkerCounts } from "./markers.ts";
import type { DataKey, SimClient } from "./sim-client.ts";
import type { SimHistory } from "./sim-history.ts";

export interface SimConsumerDeps {
  readonly client: SimClient;
  readonly history: SimHistory;
  readonly markers: MarkerCounts;
}

const CALL_TIMEOUT_MS = 1_500;
const MAX_WAIT_MS = 400;
const MAX_BYTES = 8_192;
/** Share of the turns in which it asks for the end instead. */
const END_SHARE = 0.1;

/** A consumer by assignment: reads its partitions from their beginning on, below the high watermark. */
export class SimConsumer {
  readonly #keys: readonly DataKey[];
  readonly #deps: SimConsumerDeps;
  readonly #positions = new Map<string, number>();
  #isOver = false;

  constructor(options: { readonly keys: readonly DataKey[] }, deps: SimConsumerDeps) {
    this.#keys = options.keys;
    this.#deps = deps;
    const assign = deps.history.invoke("assign");
    assign("ok", { mops: this.#keys.map(({ name }) => ["assign", name] as const) });
  }

  /** Next offset that it would read. */
  positionOf({ name }: DataKey): number {
    return this.#positions.get(name) ?? 0;
  }

  /** Reads until `end`. Rejects only with what is a bug. */
  async run(): Promise<void> {
    const { client } = this.#deps;
    while (!this.#isOver) {
      const key = this.#keys[client.random.below(this.#keys.length)];
      if (key === undefined) return;
      if (client.random.fraction() < END_SHARE) await this.endOf(key);
      else await this.poll(key, MAX_WAIT_MS * client.random.fraction());
      await client.pause(5, 150);
    }
  }

  end(): void {
    this.#isOver = true;
  }

  /** One poll of one partition. What gives nothing is not noted: the next one goes on where this one began. */
  async poll(key: DataKey, maxWaitMs: number): Promise<void> {
    const { client, history } = this.#deps;
    const leader = client.leaderOf(key);
    if (leader === undefined) {
      await client.refresh(key.topic);
      return;
    }
    const startNs = client.nowNs();
    const offset = this.positionOf(key);
    const leaderEpoch = client.random.fraction() < 0.7 ? leader.leaderEpoch : -1;
    const { topic, partition } = key;
    try {
      const [result] = await client.call(
        leader.machine,
        (broker, signal) =>
          broker.fetch(
            {
              maxWaitMs,
              minBytes: 1,
              maxBytes: 0,
              readCommitted: false,
              partitions: [{ topic, partition, offset, leaderEpoch, maxBytes: MAX_BYTES }],
            },
            signal,
          ),
        CALL_TIMEOUT_MS,
      );
      if (result?.error !== "NONE") {
        if (result?.error === "OFFSET_OUT_OF_RANGE") this.#deps.markers.hit("offsetOutOfRange");
        await client.refresh(topic);
        return;
      }
      const { records, mops } = this.#read(key, offset, result.records);
      if (records.length === 0 && mops.length === 0) return;
      const complete = history.since(startNs, "poll", [["poll"]]);
      complete("ok", {
        mops: [["poll", { [key.name]: records }], ...mops],
        node: leader.machine + 1,
        le: result.leaderEpoch,
      });
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      await client.refresh(topic);
    }
  }

  /** Where the partition ends, exclusive; undefined when nobody says. */
  async endOf(key: DataKey): Promise<number | undefined> {
    const { client, history } = this.#deps;
    const leader = client.leaderOf(key);
    const startNs = client.nowNs();
    const { topic, partition } = key;
    if (leader !== undefined) {
      try {
        const item = { topic, partition, timestampMs: LATEST_TIMESTAMP };
        const [result] = await client.call(
          leader.machine,
          (broker) => broker.listOffsets([item]),
          CALL_TIMEOUT_MS,
        );
        if (result?.error === "NONE") {
          const complete = history.since(startNs, "listOffsets");
          const mops = [["end", key.name, result.offset] as const];
          complete("ok", { mops, node: leader.machine + 1, le: result.leaderEpoch });
          return result.offset;
        }
      } catch (error: unknown) {
        if (!(error instanceof LograftError)) throw error;
      }
    }
    await client.refresh(topic);
    return undefined;
  }

  #read(
    key: DataKey,
    from: number,
    chunks: readonly Buffer[],
  ): { records: ReadRecord[]; mops: MicroOperation[] } {
    const records: ReadRecord[] = [];
    const mops: MicroOperation[] = [];
    const bytes = Buffer.concat(chunks);
    for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at)) {
      const epoch = leaderEpochOf(bytes, at);
      const producer = [producerIdOf(bytes, at), producerEpochOf(bytes, at)] as const;
      const sequence = baseSequenceOf(bytes, at);
      for (const [index, { offset, value }] of decodeRecords(bytes, at).entries()) {
        if (offset < from) continue;
        const decoded = decodeBody(value);
        if (!decoded.ok) mops.push(["damaged", key.name, offset, "corrupt", decoded.reason]);
        else if (decoded.body.key !== key.name)
          mops.push(["damaged", key.name, offset, "misrouted", decoded.body.key]);
        else
          records.push([
            offset,
            decoded.body.value,
            epoch,
            ...producer,
            sequence < 0 ? -1 : sequence + index,
          ]);
        this.#positions.set(key.name, offset + 1);
      }
    }
    return { records, mops };
  }
}
