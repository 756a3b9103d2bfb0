import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from "../../../src/coordinator/group/group-api.ts";
import { SeededRandom } from "../../../src/platform/random.ts";
import { topicIdOf } from "../../metadata/arbitrary-history.ts";
import { ConsumerBench } from "./consumer-bench.ts";
import type { BenchTopics } from "./shard-bench.ts";

type Heartbeat = Omit<ConsumerGroupHeartbeatRequest, "groupId" | "clientId" | "clientHost">;

/** A consumer as KIP-848 wants it: gives up before it takes, says what it owns when that changed or an answer was lost. */
interface Consumer {
  readonly memberId: string;
  readonly instanceId: string | undefined;
  topics: readonly string[];
  epoch: number;
  /** "topic id/partition". */
  owned: Set<string>;
  target: Set<string>;
  /** What its next heartbeat has to say. */
  owes: boolean;
  /** Sent and not answered. */
  waitsFor: Heartbeat | undefined;
  /** When it sent the last heartbeat that was answered. */
  renewedMs: number;
  sentMs: number;
}

const SESSION_MS = 45_000;
const TOPICS = ["t1", "t2", "t3"];

/** A group with consumers, whose messages are delivered late, twice or never. */
export class SimulatedConsumers {
  readonly #random: SeededRandom;
  readonly #bench: ConsumerBench;
  #topics: Record<string, { seed: number; partitions: number }> = {
    t1: { seed: 1, partitions: 4 },
    t2: { seed: 2, partitions: 3 },
  };
  #consumers: Consumer[] = [];
  /** Requests that were delivered once, and may be delivered again. */
  #delayed: Heartbeat[] = [];
  readonly #epochs = new Map<string, number>();
  #groupEpoch = 0;
  #ids = 0;
  #seeds = 10;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#bench = new ConsumerBench(this.#topics, { maxSize: 8 });
  }

  /** One random event. */
  act(): void {
    const choice = this.#random.below(100);
    const consumer = this.#consumers[this.#random.below(Math.max(1, this.#consumers.length))];
    if (choice < 4 || consumer === undefined) this.#start();
    else if (choice < 7) this.#crash(consumer);
    else if (choice < 9) this.#leave(consumer);
    else if (choice < 11) this.#failover();
    else if (choice < 13) this.#changeTopics();
    else if (choice < 16) consumer.topics = this.#someTopics();
    else if (choice < 24) this.#deliverAgain();
    else if (choice < 55) this.#send(consumer);
    else if (choice < 85) this.#deliver(consumer, this.#random.below(4) > 0);
    else if (choice < 95) this.#reconcile(consumer);
    else this.#passTime(this.#random.below(10_000));
  }

  /** Nothing is lost any more, until nothing changes. */
  settle(): void {
    this.#delayed = [];
    for (let turn = 0; turn < 40; turn++) {
      for (const consumer of this.#consumers) {
        this.#send(consumer);
        this.#deliver(consumer, true);
        this.#reconcile(consumer);
      }
      this.#passTime(2_000);
    }
  }

  /** @throws when two consumers hold one partition by what they were told. */
  checkHolders(): void {
    const holders = new Map<string, string>();
    for (const { memberId, owned } of this.#consumers) {
      for (const key of owned) {
        const [topicId] = key.split("/");
        // Nobody reads a topic that is deleted.
        if (!Object.values(this.#topics).some(({ seed }) => topicIdOf(seed) === topicId)) continue;
        const other = holders.get(key);
        if (other !== undefined) throw new Error(`${key} is held by ${other} and ${memberId}`);
        holders.set(key, memberId);
      }
    }
  }

  /** What is not as it should be when everything was quiet for long. */
  problemsOfQuiet(): string[] {
    const problems: string[] = [];
    const description = this.#bench.group.describe(this.#bench.context);
    const held = new Set(this.#consumers.flatMap(({ owned }) => [...owned]));
    if (this.#consumers.length > 0 && description.state !== "Stable") problems.push(description.state);
    for (const consumer of this.#consumers) {
      if (consumer.epoch <= 0) problems.push(`${consumer.memberId} is not in the group`);
      if (!sameSet(consumer.owned, consumer.target)) problems.push(`${consumer.memberId} is not done`);
    }
    for (const [name, { seed, partitions }] of Object.entries(this.#topics)) {
      const isWanted = this.#consumers.some(({ topics }) => topics.includes(name));
      for (let partition = 0; partition < partitions; partition++) {
        const isHeld = held.has(`${topicIdOf(seed)}/${partition}`);
        if (isHeld !== isWanted) problems.push(`${name}-${partition} is ${isHeld ? "held" : "not held"}`);
      }
    }
    return problems;
  }

  #start(): void {
    if (this.#consumers.length >= 6) return;
    const free = ["i1", "i2"].find((id) => this.#consumers.every(({ instanceId }) => instanceId !== id));
    this.#consumers.push({
      memberId: `m${this.#ids++}`,
      instanceId: this.#random.below(3) === 0 ? free : undefined,
      topics: this.#someTopics(),
      epoch: 0,
      owned: new Set(),
      target: new Set(),
      owes: true,
      waitsFor: undefined,
      renewedMs: this.#bench.nowMs,
      sentMs: this.#bench.nowMs,
    });
  }

  /** It is gone without a word; its session goes on. */
  #crash(consumer: Consumer): void {
    this.#forget(consumer);
    if (this.#random.below(2) === 0) this.#bench.disconnect(consumer.memberId);
  }

  #leave(consumer: Consumer): void {
    this.#forget(consumer);
    if (consumer.epoch <= 0) return;
    const isForAWhile = consumer.instanceId !== undefined && this.#random.below(2) === 0;
    const { instanceId } = consumer;
    this.#bench.beat(
      consumer.memberId,
      isForAWhile ? -2 : -1,
      instanceId === undefined ? {} : { instanceId },
    );
  }

  #forget(consumer: Consumer): void {
    this.#consumers = this.#consumers.filter((other) => other !== consumer);
    // Its last words may still arrive, and make a member of a dead one until its session ends.
    if (consumer.waitsFor !== undefined) this.#remember(consumer.waitsFor);
  }

  /** The old coordinator answers nobody any more, so what was sent to it is lost and all is said again. */
  #failover(): void {
    this.#bench.failover();
    for (const consumer of this.#consumers) {
      consumer.waitsFor = undefined;
      consumer.owes = true;
    }
  }

  #changeTopics(): void {
    const name = TOPICS[this.#random.below(TOPICS.length)] ?? "t1";
    const known = this.#topics[name];
    const others = Object.fromEntries(Object.entries(this.#topics).filter(([other]) => other !== name));
    if (known === undefined) {
      this.#topics = { ...others, [name]: { seed: this.#seeds++, partitions: 1 + this.#random.below(4) } };
    } else if (this.#random.below(2) === 0) {
      this.#topics = others;
    } else {
      this.#topics = { ...others, [name]: { ...known, partitions: known.partitions + 1 } };
    }
    const topics: BenchTopics = this.#topics;
    this.#bench.metadata(topics);
  }

  #someTopics(): readonly string[] {
    const some = TOPICS.filter(() => this.#random.below(2) === 0);
    return some.length === 0 ? ["t1"] : some;
  }

  #send(consumer: Consumer): void {
    if (consumer.waitsFor !== undefined) return;
    const isJoin = consumer.epoch === 0;
    const { instanceId } = consumer;
    consumer.sentMs = this.#bench.nowMs;
    consumer.waitsFor = {
      memberId: consumer.memberId,
      memberEpoch: consumer.epoch,
      ...(instanceId === undefined ? {} : { instanceId }),
      ...(isJoin ? { rebalanceTimeoutMs: 3_600_000 } : {}),
      ...(isJoin || this.#random.below(2) === 0 ? { subscribedTopicNames: consumer.topics } : {}),
      ...(isJoin || consumer.owes ? { topicPartitions: partitionsOf(consumer.owned) } : {}),
    };
    consumer.owes = false;
  }

  /** The request arrives, and its answer as well or not. */
  #deliver(consumer: Consumer, isHeard: boolean): void {
    const request = consumer.waitsFor;
    if (request === undefined) return;
    consumer.waitsFor = undefined;
    this.#remember(request);
    const isArriving = isHeard || this.#random.below(2) === 0;
    const response = isArriving ? this.#request(request) : undefined;
    if (!isHeard || response === undefined) consumer.owes = true;
    else this.#hear(consumer, response);
  }

  #hear(consumer: Consumer, response: ConsumerGroupHeartbeatResponse): void {
    if (response.error === "FENCED_MEMBER_EPOCH" || response.error === "UNKNOWN_MEMBER_ID") {
      loseAll(consumer);
      return;
    }
    // The instance is still there, or the group is full: another try later.
    if (response.error !== "NONE") return;
    if (response.memberEpoch < consumer.epoch) throw new Error(`${consumer.memberId} goes back`);
    consumer.epoch = response.memberEpoch;
    consumer.renewedMs = consumer.sentMs;
    if (response.assignment === undefined) return;
    consumer.target = new Set(
      response.assignment.flatMap(({ topicId, partitions }) =>
        partitions.map((partition) => `${topicId}/${partition}`),
      ),
    );
    consumer.owes = true;
    // It takes what is new at once, and gives up as late as it likes.
    if ([...consumer.owned].every((key) => consumer.target.has(key))) this.#reconcile(consumer);
  }

  /** Gives up what it is not to have, then takes what it is to have. */
  #reconcile(consumer: Consumer): void {
    if (sameSet(consumer.owned, consumer.target)) return;
    const surplus = [...consumer.owned].filter((key) => !consumer.target.has(key));
    if (surplus.length === 0) consumer.owned = new Set(consumer.target);
    // Some of it may take longer.
    const count = 1 + this.#random.below(Math.max(1, surplus.length));
    for (const key of surplus.slice(0, count)) consumer.owned.delete(key);
    consumer.owes = true;
  }

  #deliverAgain(): void {
    const request = this.#delayed[this.#random.below(Math.max(1, this.#delayed.length))];
    if (request !== undefined) this.#request(request);
  }

  #remember(request: Heartbeat): void {
    this.#delayed.push(request);
    if (this.#delayed.length > 12) this.#delayed.shift();
  }

  #request({ memberId, memberEpoch, ...fields }: Heartbeat): ConsumerGroupHeartbeatResponse {
    const response = this.#bench.beat(memberId, memberEpoch, fields);
    const { epoch, members } = this.#bench.group.describe(this.#bench.context);
    if (members.length > 0 && epoch < this.#groupEpoch) throw new Error("the group epoch goes back");
    this.#groupEpoch = epoch;
    for (const member of members) {
      const known = this.#epochs.get(member.memberId) ?? 0;
      if (member.memberEpoch >= 0 && member.memberEpoch < known)
        throw new Error(`${member.memberId} goes back`);
      this.#epochs.set(member.memberId, Math.max(known, member.memberEpoch));
    }
    return response;
  }

  /** A consumer whose session may have ended before it hears of it stops by itself, as every consumer must. */
  #passTime(ms: number): void {
    for (const consumer of this.#consumers) {
      if (consumer.renewedMs + SESSION_MS > this.#bench.nowMs + ms) continue;
      loseAll(consumer);
      consumer.waitsFor = undefined;
      consumer.owes = true;
    }
    this.#bench.pass(ms);
  }
}

/** It joins again, with nothing. */
function loseAll(consumer: Consumer): void {
  consumer.owned = new Set();
  consumer.target = new Set();
  consumer.epoch = 0;
}

function partitionsOf(keys: ReadonlySet<string>): NonNullable<Heartbeat["topicPartitions"]> {
  return [...keys].map((key) => {
    const [topicId = "", partition = ""] = key.split("/");
    return { topicId: topicId as ReturnType<typeof topicIdOf>, partitions: [Number(partition)] };
  });
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((key) => b.has(key));
}
