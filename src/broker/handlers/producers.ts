import type { NodeId } from "../../model/ids.ts";
import type { MetadataCalls } from "../metadata-calls.ts";

/** The identity of a producer session. */
export interface InitializedProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Gives out producer ids from blocks that are committed before their first id is used (H57). */
export class ProducersHandler {
  readonly #nodeId: NodeId;
  readonly #metadata: MetadataCalls;
  #next = 0;
  #end = 0;
  #refill: Promise<void> | undefined;

  constructor(options: { readonly nodeId: NodeId }, deps: { readonly metadata: MetadataCalls }) {
    this.#nodeId = options.nodeId;
    this.#metadata = deps.metadata;
  }

  /** An id that nobody had before, with epoch 0. @throws as `MetadataCalls.call`. */
  async initProducer(): Promise<InitializedProducer> {
    // Others may empty the new block before this caller gets its turn, hence a loop.
    while (this.#next >= this.#end) {
      this.#refill ??= this.#takeBlock();
      await this.#refill;
    }
    return { producerId: this.#next++, producerEpoch: 0 };
  }

  async #takeBlock(): Promise<void> {
    try {
      const { result } = await this.#metadata.call({
        type: "allocateProducerIds",
        nodeId: this.#nodeId,
        brokerEpoch: this.#metadata.image.broker(this.#nodeId)?.brokerEpoch ?? 0,
      });
      this.#next = result.first;
      this.#end = result.end;
    } finally {
      this.#refill = undefined;
    }
  }
}
