import { deadlineSignal } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage } from "../base/errors.ts";
import type { TopicImage } from "../metadata/image.ts";
import type { BrokerConfig } from "../model/configs.ts";
import { ProtocolError } from "../model/error-code.ts";
import { NO_NODE } from "../model/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { MetadataCalls } from "./metadata-calls.ts";

/** Where groups keep their state; Kafka's name. */
export const OFFSETS_TOPIC = "__consumer_offsets";

/** How long a caller waits until the partition of its group has a leader. */
const LEADER_TIMEOUT_MS = 5000;
/** How long one who could not reach the leader waits for another one; it may have been the way only. */
const OTHER_LEADER_TIMEOUT_MS = 500;

/** The partition of the offsets topic that holds a group: Kafka's, by Java's hash of the group id. */
export function groupPartition(groupId: string, partitions: number): number {
  let hash = 0;
  for (let index = 0; index < groupId.length; index++) {
    hash = (Math.imul(hash, 31) + groupId.charCodeAt(index)) | 0;
  }
  return (hash & 0x7fff_ffff) % partitions;
}

/** The topic of the group coordinators: made at its first use, and looked up. */
export class OffsetsTopic {
  readonly #config: BrokerConfig;
  readonly #metadata: MetadataCalls;
  readonly #clock: Clock;
  readonly #watchers = new Set<() => void>();
  #creating: Promise<void> | undefined;

  constructor(
    options: { readonly config: BrokerConfig },
    deps: { readonly metadata: MetadataCalls; readonly clock: Clock },
  ) {
    this.#config = options.config;
    this.#metadata = deps.metadata;
    this.#clock = deps.clock;
  }

  /** Undefined: no group was ever used in this cluster. */
  get image(): TopicImage | undefined {
    return this.#metadata.image.topic(OFFSETS_TOPIC);
  }

  /** The metadata of the topic has changed: those who wait for a leader look again. */
  changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /** Makes the topic if there is none. @throws ProtocolError COORDINATOR_NOT_AVAILABLE, the reason of `signal`. */
  async create(signal: AbortSignal): Promise<TopicImage> {
    if (this.image === undefined) {
      this.#creating ??= this.#create(signal).finally(() => {
        this.#creating = undefined;
      });
      await this.#creating;
    }
    const { image } = this;
    if (image !== undefined) return image;
    throw notAvailable(`topic ${OFFSETS_TOPIC} was made and is not known here yet`);
  }

  /**
   * Waits until the partition has a leader, and for a moment until it has another one than `unreachable`.
   * @throws ProtocolError COORDINATOR_NOT_AVAILABLE, the reason of `signal`.
   */
  async leaderOf(
    partition: number,
    { unreachable, signal }: { readonly unreachable: number; readonly signal: AbortSignal },
  ): Promise<number> {
    const leader = (): number => this.image?.partitions[partition]?.leader ?? NO_NODE;
    const isThere = (): boolean => leader() !== NO_NODE && leader() !== unreachable;
    if (isThere()) return leader();
    const timeoutMs = leader() === NO_NODE ? LEADER_TIMEOUT_MS : OTHER_LEADER_TIMEOUT_MS;
    using deadline = deadlineSignal(this.#clock, timeoutMs, signal);
    const settled = new Deferred<void>();
    const look = (): void => {
      if (isThere() || deadline.signal.aborted) settled.resolve();
    };
    this.#watchers.add(look);
    deadline.signal.addEventListener("abort", look, { once: true });
    await settled.promise;
    this.#watchers.delete(look);
    deadline.signal.removeEventListener("abort", look);
    signal.throwIfAborted();
    if (leader() !== NO_NODE) return leader();
    throw notAvailable(`nobody leads ${OFFSETS_TOPIC}-${partition} at the moment; start the missing brokers`);
  }

  async #create(signal: AbortSignal): Promise<void> {
    const { offsetsTopicNumPartitions, offsetsTopicReplicationFactor, offsetsTopicSegmentBytes } =
      this.#config;
    const { controllerQuorumVoters: founders, controllerQuorumBootstrapServers: servers } = this.#config;
    const registered = [...this.#metadata.image.brokers()];
    const drained = registered.filter(({ isDrained }) => isDrained).length;
    // Those that are still to come count: a group that is used while a cluster starts must not get one replica for good.
    const brokers = Math.max(registered.length, founders?.length ?? servers?.length ?? 1) - drained;
    try {
      const { result } = await this.#metadata.call(
        {
          type: "createInternalTopic",
          name: OFFSETS_TOPIC,
          partitions: offsetsTopicNumPartitions,
          replicationFactor: Math.max(1, Math.min(offsetsTopicReplicationFactor, brokers)),
          configs: new Map([
            ["cleanup.policy", "compact"],
            ["compression.type", "producer"],
            ["segment.bytes", String(offsetsTopicSegmentBytes)],
          ]),
        },
        signal,
      );
      // Another broker may have been asked at the same time.
      if (result.error === "NONE" || result.error === "TOPIC_ALREADY_EXISTS") return;
      throw notAvailable(`topic ${OFFSETS_TOPIC} cannot be made: ${result.errorMessage}`);
    } catch (error: unknown) {
      if (error instanceof ProtocolError && error.code === "COORDINATOR_NOT_AVAILABLE") throw error;
      throw notAvailable(`topic ${OFFSETS_TOPIC} cannot be made: ${errorMessage(error)}`);
    }
  }
}

function notAvailable(text: string): ProtocolError {
  return new ProtocolError("COORDINATOR_NOT_AVAILABLE", `${text}; try again`);
}
