import { decodeMetadataRecords } from "../../metadata/record-codec.ts";
import type { MetadataRecord } from "../../metadata/records.ts";
import { MetadataState, stateHash } from "../../metadata/replay.ts";
import type { NodeId } from "../../model/ids.ts";
import type { CommittedEntry } from "./ledger.ts";
import { mustHold } from "./violation.ts";

/** The node whose image is compared. */
export interface ModelledNode {
  readonly nodeId: NodeId;
  readonly stateHash: number;
  readonly quorum: { readonly appliedOffset: number };
}

/** Offsets between two hashes. */
const HASH_INTERVAL = 8;

/**
 * The metadata as the committed log alone gives it: what each broker's image is held against, and where each change is
 * looked for and counted.
 */
export class MetadataModel {
  readonly #state = new MetadataState();
  readonly #hashes = new Map<number, number>();
  readonly #compared = new Map<NodeId, number>();
  /** How often each change stands in the committed log, by its token. */
  readonly #tokens = new Map<string, number>();
  readonly #onFenced: (nodeId: NodeId) => void;
  #offset = 0;
  #lastEntry = 0;

  /** @param deps.onFenced an unfenced broker is fenced. */
  constructor(deps: { readonly onFenced: (nodeId: NodeId) => void }) {
    this.#onFenced = deps.onFenced;
  }

  get image(): MetadataState {
    return this.#state;
  }

  /** Offset of the last committed entry. */
  get offset(): number {
    return this.#offset;
  }

  /** How often the change is committed; see the functions that make tokens. */
  countOf(token: string): number {
    return this.#tokens.get(token) ?? 0;
  }

  /** Entries in order, each once. */
  commit(entry: CommittedEntry): void {
    this.#offset = entry.index;
    if (entry.kind === "data") {
      const records = decodeMetadataRecords(entry.data);
      for (const record of records) this.#check(record, entry.index);
      this.#state.replay(records);
      this.#lastEntry = entry.index;
    }
    if (entry.index % HASH_INTERVAL === 0) this.#hashes.set(entry.index, stateHash(this.#state));
  }

  /** A broker's image must be the state at the offset that it has applied (H21). */
  compare(node: ModelledNode): void {
    const offset = node.quorum.appliedOffset;
    const expected = this.#hashes.get(offset);
    if (expected === undefined || this.#compared.get(node.nodeId) === offset) return;
    this.#compared.set(node.nodeId, offset);
    this.#mustMatch(node, offset, expected);
  }

  /** The same once nothing changes any more: of a broker that has applied everything. */
  compareLatest(node: ModelledNode): void {
    const offset = node.quorum.appliedOffset;
    mustHold(offset >= this.#lastEntry, "AppliedEverything", "a broker is behind when all is quiet", () => ({
      node: node.nodeId,
      offset,
      committed: this.#lastEntry,
    }));
    this.#mustMatch(node, offset, stateHash(this.#state));
  }

  #mustMatch(node: ModelledNode, offset: number, expected: number): void {
    mustHold(node.stateHash === expected, "ImageIsPrefix", "a broker's image is no state of the log", () => ({
      node: node.nodeId,
      offset,
      hashes: { node: node.stateHash, log: expected },
    }));
  }

  #check(record: MetadataRecord, offset: number): void {
    switch (record.type) {
      case "BrokerRegistration":
        mustHold(record.brokerEpoch === offset, "BrokerEpochIsOffset", "a broker epoch of its own", () => ({
          node: record.nodeId,
          brokerEpoch: record.brokerEpoch,
          offset,
        }));
        break;
      case "BrokerChange": {
        const broker = this.#state.broker(record.nodeId);
        mustHold(
          broker?.brokerEpoch === record.brokerEpoch,
          "OneRegistration",
          "a change of a registration that is not the latest",
          () => ({ node: record.nodeId, epochs: [broker?.brokerEpoch, record.brokerEpoch] }),
        );
        if (record.isFenced && !broker.isFenced) this.#onFenced(record.nodeId);
        break;
      }
      case "ProducerIds":
        mustHold(
          record.nextProducerId > this.#state.nextProducerId,
          "ProducerIdsGrow",
          "producer ids are given again",
          () => ({ from: this.#state.nextProducerId, to: record.nextProducerId }),
        );
        this.#count(producerIdsToken(this.#state.nextProducerId));
        break;
      case "Topic":
        this.#count(topicToken(record.name));
        break;
      case "RemoveTopic":
        this.#count(removalToken(this.#state.topicById(record.topicId)?.name ?? ""));
        break;
      case "TopicConfig":
        if (record.value !== null) this.#count(configToken(record.value));
        break;
      case "Partition":
      case "UnregisterBroker":
      case "FeatureLevel":
        break;
    }
  }

  #count(token: string): void {
    const count = this.countOf(token) + 1;
    this.#tokens.set(token, count);
    mustHold(count === 1, "AppliedOnce", "a change was applied twice", () => ({ token }));
  }
}

export function topicToken(name: string): string {
  return `create ${name}`;
}

export function removalToken(name: string): string {
  return `delete ${name}`;
}

/** The workload uses no value twice. */
export function configToken(value: string): string {
  return `config ${value}`;
}

export function producerIdsToken(first: number): string {
  return `producer ids from ${first}`;
}
