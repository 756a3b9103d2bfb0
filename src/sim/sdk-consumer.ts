import { isLograftError } from "../client/index.ts";
import type { ConsumedBatch, LograftClient } from "../client/index.ts";
import type { MicroOperation, ReadRecord } from "../history/history-line.ts";
import { decodeBody } from "../history/record-body.ts";
import type { SimClock } from "./sim-clock.ts";
import { keyName } from "./sim-client.ts";
import type { DataKey } from "./sim-client.ts";
import type { SimHistory } from "./sim-history.ts";

export interface SdkConsumerDeps {
  /** Closed at the end. */
  readonly client: LograftClient;
  readonly clock: SimClock;
  readonly nowNs: () => number;
  readonly history: SimHistory;
}

/** Before it begins again behind an error that ended its consumer. */
const RESTART_MS = 200;

/** An application with the SDK's consumer: reads its partitions from their beginning on, by assignment. */
export class SdkConsumer {
  readonly #keys: readonly DataKey[];
  readonly #deps: SdkConsumerDeps;
  readonly #positions = new Map<string, number>();
  readonly #ended = new AbortController();

  constructor(options: { readonly keys: readonly DataKey[] }, deps: SdkConsumerDeps) {
    this.#keys = options.keys;
    this.#deps = deps;
  }

  /** Reads until `end`. Rejects only with what is a bug. */
  async run(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await this.#read(signal);
      } catch (error: unknown) {
        if (!signal.aborted && !isLograftError(error)) throw error;
      }
      if (!signal.aborted) await this.#deps.clock.sleep(RESTART_MS);
    }
    await this.#deps.client.close();
  }

  end(): void {
    this.#ended.abort();
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { client, history, nowNs } = this.#deps;
    const assign = history.invoke("assign");
    await using consumer = client.consumer({
      assign: this.#keys.map(({ topic, partition, name }) => {
        const offset = this.#positions.get(name);
        return { topic, partition, from: offset === undefined ? ("beginning" as const) : { offset } };
      }),
      autoOffsetReset: "none",
    });
    assign("ok", { mops: this.#keys.map(({ name }) => ["assign", name] as const) });
    let since = nowNs();
    for await (const batch of consumer.batches({ signal })) {
      const complete = history.since(since, "poll", [["poll"]]);
      complete("ok", { mops: microOperationsOf(batch) });
      since = nowNs();
      this.#positions.set(keyName(batch.topic, batch.partition), batch.lastOffset + 1);
    }
  }
}

function microOperationsOf(batch: ConsumedBatch): MicroOperation[] {
  const key = keyName(batch.topic, batch.partition);
  const records: ReadRecord[] = [];
  const mops: MicroOperation[] = [["poll", { [key]: records }]];
  for (const { offset, value } of batch) {
    const decoded = decodeBody(value);
    if (!decoded.ok) mops.push(["damaged", key, offset, "corrupt", decoded.reason]);
    else if (decoded.body.key !== key) mops.push(["damaged", key, offset, "misrouted", decoded.body.key]);
    else records.push([offset, decoded.body.value, batch.leaderEpoch]);
  }
  return mops;
}
