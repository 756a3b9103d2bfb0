import { decodeMessage } from "../../quorum/message-codec.ts";
import type { KeyValueOperation } from "../../platform/key-value.ts";
import type { RaftMessage, RaftStatus, ReplicaId } from "../../raft/types.ts";
import type { NodeId } from "../../model/ids.ts";
import type { MarkerCounts } from "../markers.ts";
import { Acknowledged } from "./acknowledged.ts";
import { DurableLogs } from "./durable-log.ts";
import { Ledger } from "./ledger.ts";
import { MessageWatch } from "./message-watch.ts";
import { MetadataModel } from "./metadata-model.ts";
import type { ModelledNode } from "./metadata-model.ts";
import { ReplicaWatch } from "./replica-watch.ts";

/** A node as the checker looks at it. */
export interface CheckedNode extends ModelledNode {
  readonly quorum: { readonly appliedOffset: number; readonly status: RaftStatus };
}

/** All invariants of one run: what the disks, the network and the nodes show goes in, a violation comes out as a throw. */
export class Checker {
  readonly logs = new DurableLogs();
  readonly ledger = new Ledger();
  readonly model: MetadataModel;
  readonly acknowledged: Acknowledged;
  readonly #messages: MessageWatch;
  readonly #replicas: ReplicaWatch;
  readonly #markers: MarkerCounts;

  /** @param deps.onElected a replica leads; nothing of its term is committed yet. */
  constructor(deps: {
    readonly markers: MarkerCounts;
    readonly onFenced: (nodeId: NodeId) => void;
    readonly onElected: (id: ReplicaId) => void;
  }) {
    const { markers, onElected } = deps;
    const { logs, ledger } = this;
    this.#markers = markers;
    this.model = new MetadataModel(deps);
    this.acknowledged = new Acknowledged({ model: this.model, markers });
    this.#messages = new MessageWatch({ logs, ledger, markers });
    this.#replicas = new ReplicaWatch({ logs, ledger, messages: this.#messages, markers, onElected });
  }

  /** Terms that had a leader. */
  get leaderCount(): number {
    return this.#messages.leaderCount;
  }

  /** A batch of the store of this machine is on its disk. */
  durable(machine: number, operations: readonly KeyValueOperation[]): void {
    const change = this.logs.apply(machine, operations);
    if (change === undefined) return;
    if (change.isTruncated) this.#markers.hit("logTruncated");
    for (const entry of change.appended) {
      this.ledger.observe(change.log.id, entry, change.log.termAt(entry.index - 1));
    }
  }

  /** A message leaves its sender. Answers it decoded. */
  sent(bytes: Buffer): RaftMessage {
    const message = decodeMessage(bytes);
    this.#messages.sent(message);
    return message;
  }

  /** A replica's process is a new one. */
  restarted(id: ReplicaId): void {
    this.#replicas.restarted(id);
  }

  /** After each step of the node. */
  look(node: CheckedNode): void {
    for (const entry of this.#replicas.look(node.quorum.status)) this.model.commit(entry);
    this.model.compare(node);
  }
}
