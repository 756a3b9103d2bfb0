import type { Controller } from "../../controller/controller.ts";
import { decideProducerIdBlock } from "../../controller/producer-ids.ts";
import type { ProducerIdBlock } from "../../controller/producer-ids.ts";

/** The identity of a producer session. */
export interface InitializedProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Gives out producer ids from blocks that are committed before their first id is used (H57). */
export class ProducersHandler {
  readonly #controller: Controller;
  #next = 0;
  #end = 0;
  #refill: Promise<void> | undefined;

  constructor(deps: { readonly controller: Controller }) {
    this.#controller = deps.controller;
  }

  /** An id that nobody had before, with epoch 0. @throws LograftError as `Controller.run` does. */
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
      const block: ProducerIdBlock = await this.#controller.run(decideProducerIdBlock);
      this.#next = block.first;
      this.#end = block.end;
    } finally {
      this.#refill = undefined;
    }
  }
}
