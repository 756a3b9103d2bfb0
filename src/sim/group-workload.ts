import { InvariantError } from "../base/assert.ts";
import { groupPartition, OFFSETS_TOPIC } from "../broker/offsets-topic.ts";
import { cooperativeStickyAssignor, isLograftError, LograftClient } from "../client/index.ts";
import type { Admin, ConsumerOptions } from "../client/index.ts";
import type { MicroOperation } from "../history/history-line.ts";
import type { History } from "../history/history.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/random.ts";
import { ClientProcess } from "./client-process.ts";
import type { GroupEvent } from "./group-churn.ts";
import { GroupMember } from "./group-member.ts";
import { mustHold } from "./invariants/violation.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import type { Nemesis } from "./nemesis.ts";
import { keyName } from "./sim-client.ts";
import type { DataKey } from "./sim-client.ts";
import { SimHistory } from "./sim-history.ts";
import { endpointOf } from "./sim-network.ts";
import { SimTransport } from "./sim-transport.ts";

export interface GroupWorkloadOptions {
  readonly groupId: string;
  /** What the members read. */
  readonly keys: readonly DataKey[];
  /** "eager" and "cooperative" are classic groups. */
  readonly protocol: GroupProtocol;
  readonly memberCount: number;
  /** Machine of the first member; the others are on those behind it, and the observer on the last. */
  readonly firstMachine: number;
  /** Number of the first process in the history. */
  readonly firstProcess: number;
  /** False: nothing can take a member for dead that lives, so none may be. */
  readonly mayLoseMembers: boolean;
}

/** Who shares out: the broker, or the members with all given up before, or with only what has to move. */
export type GroupProtocol = "server" | "eager" | "cooperative";

export interface GroupWorkloadDeps {
  readonly cluster: MetadataCluster;
  readonly nemesis: Nemesis;
  readonly history: History;
  readonly random: Random;
}

/** What runs on one machine of the group. */
interface Seat {
  readonly machine: number;
  host: ClientProcess | undefined;
  member: GroupMember | undefined;
  /** A process that is to come, or to go. */
  isChanging: boolean;
}

/** Of a classic member; a third of it is between two heartbeats. */
const CLASSIC_SESSION_MS = 2_000;
const REBALANCE_TIMEOUT_MS = 3_000;
const SLOW_SHARE = 0.03;
const REQUEST_TIMEOUT_MS = 2_500;
const LEAVE_TIMEOUT_MS = 3_000;
const OBSERVE_TIMEOUT_MS = 2_000;
const MEAN_OBSERVE_PAUSE_MS = 150;
const MAX_CLOCK_DRIFT = 0.05;

/** The members of a group, each on a machine of its own, what happens to them, and an observer of what they commit. */
export class GroupWorkload {
  readonly #options: GroupWorkloadOptions;
  readonly #deps: GroupWorkloadDeps;
  readonly #seats: readonly Seat[];
  readonly #observer: ClientProcess;
  readonly #admin: Admin;
  #processes: number;
  #isOver = false;
  #coordinator: number | undefined;

  constructor(options: GroupWorkloadOptions, deps: GroupWorkloadDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#processes = options.firstProcess;
    this.#seats = Array.from({ length: options.memberCount }, (_, index) => ({
      machine: options.firstMachine + index,
      host: undefined,
      member: undefined,
      isChanging: false,
    }));
    const { scheduler } = deps.cluster;
    this.#observer = new ClientProcess(
      { machine: options.firstMachine + options.memberCount },
      { scheduler },
    );
    this.#admin = this.#client(this.#observer, new SeededRandom(deps.random.below(2 ** 32))).admin();
  }

  get groupId(): string {
    return this.#options.groupId;
  }

  get keys(): readonly DataKey[] {
    return this.#options.keys;
  }

  /** Of the members, how they see themselves; undefined for one that is not there. */
  get statuses(): readonly (GroupMember["status"] | undefined)[] {
    return this.#seats.map(({ member }) => member?.status);
  }

  /** The machine of the group's coordinator, as the committed metadata say. */
  get coordinator(): number | undefined {
    const topic = this.#deps.cluster.checker.model.image.topic(OFFSETS_TOPIC);
    if (topic === undefined) return undefined;
    const partition = topic.partitions[groupPartition(this.groupId, topic.partitions.length)];
    return partition === undefined || partition.leader < 0 ? undefined : partition.leader - 1;
  }

  /** Partitions of the internal topic, as far as there are any. */
  get internalKeys(): DataKey[] {
    const topic = this.#deps.cluster.checker.model.image.topic(OFFSETS_TOPIC);
    return Array.from(topic?.partitions.keys() ?? [], (partition) => ({
      name: keyName(OFFSETS_TOPIC, partition),
      topic: OFFSETS_TOPIC,
      partition,
    }));
  }

  /** Members join one after the other; the observer looks until the end of the run. */
  begin(): void {
    const { cluster, random } = this.#deps;
    if (this.#options.protocol !== "server") cluster.markers.hit("classicGroup");
    for (const seat of this.#seats) {
      seat.isChanging = true;
      cluster.scheduler.schedule(300 + random.fraction() * 1_200, () => this.#start(seat));
    }
    this.#own(this.#observe());
  }

  /** Something happens to a member, or to the coordinator. */
  strike(event: GroupEvent): void {
    if (this.#isOver) return;
    const { cluster, nemesis, random } = this.#deps;
    cluster.trace.add("group", { note: JSON.stringify(event) });
    if (event.kind === "coordinator" || event.kind === "clock") {
      const { coordinator } = this;
      if (coordinator === undefined) return;
      cluster.markers.hit("coordinatorStruck");
      if (event.kind === "clock") {
        nemesis.strike({ kind: "wallJump", target: coordinator, byMs: event.byMs });
      } else if (event.how === "pause") {
        nemesis.strike({ kind: "pause", target: coordinator, forMs: event.forMs });
      } else if (event.how === "cut") {
        const others = cluster.machines.filter(({ index }) => index !== coordinator);
        const isDeaf = random.fraction() < 0.3;
        nemesis.cut(
          others.flatMap(({ index }) => [
            [index, coordinator] as const,
            ...(isDeaf ? [] : [[coordinator, index] as const]),
          ]),
          event.forMs,
        );
      } else {
        nemesis.strike({ kind: "crash", target: coordinator, how: event.how, downMs: event.forMs });
      }
      return;
    }
    const seat = this.#seats[event.member % this.#seats.length];
    if (seat?.host === undefined || seat.isChanging) return;
    this.#strikeSeat(seat, seat.host, event);
  }

  /** Nothing more happens: who stands still goes on, and who is gone comes back. */
  end(): void {
    this.#isOver = true;
    for (const { host } of this.#seats) if (host?.isPaused === true) host.resume();
  }

  /** What the group has committed, by key; -1: nothing. Undefined when nobody could say. */
  async committed(): Promise<Map<string, number> | undefined> {
    const { cluster, history } = this.#deps;
    const nowNs = (): number => this.#nowNs();
    const observing = new SimHistory({ process: ++this.#processes }, { history, nowNs });
    const complete = observing.invoke("fetchOffset");
    try {
      const partitions = this.keys.map(({ topic, partition }) => ({ topic, partition }));
      const found = await this.#admin.fetchGroupOffsets(this.groupId, {
        partitions,
        timeoutMs: OBSERVE_TIMEOUT_MS,
      });
      const mops = found.map(({ topic, partition, offset, metadata }): MicroOperation => {
        return ["committed", this.groupId, keyName(topic, partition), offset, metadata];
      });
      complete("ok", { mops });
      cluster.markers.hit("commitFetched");
      return new Map(found.map(({ topic, partition, offset }) => [keyName(topic, partition), offset]));
    } catch (error: unknown) {
      if (!isLograftError(error)) throw error;
      return undefined;
    }
  }

  /** Whether the group is whole by its coordinator: stable, and of as many members as there are. */
  async isWhole(): Promise<boolean> {
    try {
      const [group] = await this.#admin.describeGroups([this.groupId], { timeoutMs: OBSERVE_TIMEOUT_MS });
      return group?.state === "Stable" && group.members.length === this.#seats.length;
    } catch (error: unknown) {
      if (!isLograftError(error)) throw error;
      return false;
    }
  }

  /** All members leave in order. */
  async leave(): Promise<void> {
    const members = this.#seats.flatMap(({ member }) => (member === undefined ? [] : [member]));
    await Promise.all(members.map((member) => member.leave(LEAVE_TIMEOUT_MS)));
  }

  #strikeSeat(
    seat: Seat,
    host: ClientProcess,
    event: Exclude<GroupEvent, { readonly kind: "coordinator" | "clock" }>,
  ): void {
    const { cluster, nemesis } = this.#deps;
    switch (event.kind) {
      case "crash":
        cluster.markers.hit("memberCrashed");
        host.die();
        this.#vacate(seat, event.downMs);
        break;
      case "leave": {
        const { member } = seat;
        if (member === undefined || host.isPaused) return;
        cluster.markers.hit("memberLeft");
        seat.isChanging = true;
        this.#own(
          member.leave(LEAVE_TIMEOUT_MS).then(() => {
            host.die();
            this.#vacate(seat, event.downMs);
          }),
        );
        break;
      }
      case "pause":
        if (host.isPaused) return;
        cluster.markers.hit("memberPaused");
        host.pause();
        cluster.scheduler.schedule(event.forMs, () => {
          if (host.isPaused) host.resume();
        });
        break;
      case "cut": {
        cluster.markers.hit("memberCut");
        const { coordinator } = this;
        const brokers = cluster.machines.flatMap(({ index }) =>
          event.from === "all" || index === coordinator ? [index] : [],
        );
        nemesis.cut(
          brokers.flatMap((index) => [[index, seat.machine] as const, [seat.machine, index] as const]),
          event.forMs,
        );
        break;
      }
    }
  }

  #vacate(seat: Seat, downMs: number): void {
    seat.host = undefined;
    seat.member = undefined;
    seat.isChanging = true;
    this.#deps.cluster.scheduler.schedule(downMs, () => this.#start(seat));
  }

  #start(seat: Seat): void {
    const { cluster, history, random } = this.#deps;
    const { scheduler, markers, trace } = cluster;
    const drift = (random.fraction() * 2 - 1) * MAX_CLOCK_DRIFT;
    const host = new ClientProcess({ machine: seat.machine, clock: { rate: 1 + drift } }, { scheduler });
    const own = new SeededRandom(random.below(2 ** 32));
    const nowNs = (): number => this.#nowNs();
    const number = ++this.#processes;
    trace.add("member", { from: seat.machine, a: number });
    const member = new GroupMember(
      {
        groupId: this.groupId,
        topics: [...new Set(this.keys.map(({ topic }) => topic))],
        protocol: protocolOptions(this.#options.protocol),
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        meanHandlingMs: own.fraction() ** 2 * 60,
        slowShare: this.#options.mayLoseMembers ? SLOW_SHARE : 0,
        commitAtOnceShare: own.fraction(),
      },
      {
        client: this.#client(host, own),
        clock: host.clock,
        nowNs,
        random: own,
        history: new SimHistory({ process: number }, { history, nowNs }),
        markers,
        onHandled: (endOffset) => trace.count("handled", { from: seat.machine, a: endOffset }),
        onUnanswered: ({ code, message }) => {
          trace.add("commit", { from: seat.machine, note: `${code}: ${message}` });
        },
        onLost: (keys) => {
          trace.add("lost", { from: seat.machine, note: keys.join(" ") });
          this.#lost(number, keys);
        },
      },
    );
    Object.assign(seat, { host, member, isChanging: false });
    this.#own(member.run());
  }

  #lost(process: number, keys: readonly string[]): void {
    if (this.#options.mayLoseMembers) return;
    try {
      mustHold(false, "SessionsLast", "a member that was always there was taken for dead", () => ({
        process,
        keys,
      }));
    } catch (error: unknown) {
      this.#bug(error);
    }
  }

  #client(host: ClientProcess, random: Random): LograftClient {
    const { network, machines } = this.#deps.cluster;
    const { clock } = host;
    return new LograftClient({
      brokers: machines.map(({ index }) => endpointOf(index)),
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      clock,
      random,
      transport: new SimTransport({ network, clock, from: host }),
    });
  }

  async #observe(): Promise<void> {
    const { cluster, random } = this.#deps;
    while (!this.#isOver) {
      await this.#observer.clock.sleep(random.fraction() * 2 * MEAN_OBSERVE_PAUSE_MS);
      await this.committed();
      const { coordinator } = this;
      if (coordinator !== undefined && coordinator !== this.#coordinator) {
        if (this.#coordinator !== undefined) cluster.markers.hit("coordinatorMoved");
        this.#coordinator = coordinator;
      }
    }
  }

  #nowNs(): number {
    return Math.round(this.#deps.cluster.scheduler.nowMs * 1e6);
  }

  /** Whoever fails without a fault to blame has found a bug. */
  #own(work: Promise<void>): void {
    work.catch((error: unknown) => this.#bug(error));
  }

  #bug(error: unknown): void {
    this.#deps.cluster.fail(error instanceof Error ? error : new InvariantError(String(error)));
  }
}

function protocolOptions(
  protocol: GroupProtocol,
): Pick<ConsumerOptions, "groupProtocol" | "sessionTimeoutMs" | "assignors"> {
  if (protocol === "server") return {};
  const classic = { groupProtocol: "classic", sessionTimeoutMs: CLASSIC_SESSION_MS } as const;
  return protocol === "eager" ? classic : { ...classic, assignors: [cooperativeStickyAssignor] };
}
