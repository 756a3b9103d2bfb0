import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import { BrokerProcess } from "../../src/chaos/broker-process.ts";
import { Calls } from "./calls.ts";
import { Neighbour } from "./neighbour.ts";

/** A broker process on a directory of its own, a neighbour beside, and the two ways to talk to it: any bytes, and the SDK. */
export class AbusedBroker implements AsyncDisposable {
  readonly broker: BrokerProcess;
  readonly neighbour: Neighbour;
  readonly calls: Calls;
  readonly client: LograftClient;
  readonly #directory: string;

  private constructor(directory: string, broker: BrokerProcess, neighbour: Neighbour) {
    this.#directory = directory;
    this.broker = broker;
    this.neighbour = neighbour;
    this.calls = new Calls(broker);
    this.client = new LograftClient({ brokers: [broker.address] });
  }

  static async start(): Promise<AbusedBroker> {
    const directory = await mkdtemp(join(tmpdir(), "lograft-abused-"));
    const broker = await BrokerProcess.start({ dataDirectory: directory, port: 0 });
    return new AbusedBroker(directory, broker, await Neighbour.start(broker));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.calls.close();
    await this.client.close();
    await this.neighbour[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Refused in words: the name of the error, and a text that names the thing. */
export function expectRefused(
  result: { readonly error: string; readonly errorMessage: string },
  error: string,
  text: RegExp,
): void {
  expect(result.error, result.errorMessage).toBe(error);
  expect(result.errorMessage).toMatch(text);
}
