import * as fc from "fast-check";
import { expect, test } from "vitest";
import type {
  JoinGroupRequest,
  JoinGroupResponse,
  SyncGroupResponse,
} from "../../../src/coordinator/group/group-api.ts";
import { decodeAssignment } from "../../../src/model/consumer-protocol.ts";
import { ClassicBench, partOf } from "./classic-bench.ts";
import type { Joined, Pending } from "./classic-bench.ts";
import { subscriptionTo } from "./shard-requests.ts";

const PARTITIONS = 5;

/** A consumer as clients are: it calls, reads its answers when it gets round to it, and follows the errors. */
class RandomClient {
  readonly #bench: ClassicBench;
  readonly #fields: Partial<JoinGroupRequest>;
  /** Hears nothing, and may go on with what it was told before (H60). */
  isPaused = false;
  memberId = "";
  joined: JoinGroupResponse | undefined;
  /** In which generation it may work on what. */
  work: { readonly generationId: number; readonly partitions: readonly number[] } | undefined;
  #join: Pending<JoinGroupResponse> | undefined;
  #sync: Pending<SyncGroupResponse> | undefined;

  constructor(bench: ClassicBench, fields: Partial<JoinGroupRequest>) {
    this.#bench = bench;
    this.#fields = fields;
  }

  get identity(): Joined {
    return { memberId: this.memberId, generationId: this.work?.generationId ?? -1 };
  }

  get groupInstanceId(): string | undefined {
    return this.#fields.groupInstanceId;
  }

  /** Who works, over restarts of a static member. */
  get name(): string {
    return this.groupInstanceId ?? this.memberId;
  }

  /** Reads the answer it waits for, or asks the next thing. */
  step(topics: readonly string[]): void {
    if (this.#join?.answer !== undefined) this.#onJoined(this.#join.answer);
    else if (this.#sync?.answer !== undefined) this.#onSynced(this.#sync.answer);
    else if (this.#join !== undefined || this.#sync !== undefined) return;
    else if (this.work === undefined) this.rejoin(topics);
    else this.#follow(this.#bench.heartbeat(this.identity, this.groupInstanceId));
  }

  rejoin(topics: readonly string[]): void {
    const protocols = [{ name: "range", metadata: subscriptionTo(...topics) }];
    this.#sync = undefined;
    this.#join = this.#bench.join({
      ...this.#fields,
      memberId: this.memberId,
      requireKnownMemberId: true,
      supportsSkippingAssignment: true,
      protocols,
    });
  }

  /** The process ends without a word; another one begins. */
  restart(): void {
    this.memberId = "";
    this.work = undefined;
    this.joined = undefined;
    this.#join = undefined;
    this.#sync = undefined;
  }

  leave(): void {
    if (this.memberId !== "") this.#bench.leave({ memberId: this.memberId });
    this.restart();
  }

  /** The connection is lost with whatever was asked on it. */
  disconnect(): void {
    this.#join = undefined;
    this.#sync = undefined;
  }

  #onJoined(answer: JoinGroupResponse): void {
    this.#join = undefined;
    if (answer.error === "MEMBER_ID_REQUIRED") this.memberId = answer.memberId;
    if (answer.error !== "NONE") {
      this.#follow(answer.error);
      return;
    }
    this.memberId = answer.memberId;
    this.joined = answer;
    this.work = undefined;
    const isPlanner = answer.leader === answer.memberId && !answer.skipAssignment;
    const plan = isPlanner
      ? Object.fromEntries(
          answer.members.map(({ memberId }, at) => [
            memberId,
            partOf(
              ...Array.from({ length: PARTITIONS }, (_, p) => p).filter(
                (p) => p % answer.members.length === at,
              ),
            ),
          ]),
        )
      : {};
    const fields = { groupInstanceId: this.groupInstanceId };
    this.#sync = this.#bench.sync(
      { memberId: answer.memberId, generationId: answer.generationId },
      plan,
      fields,
    );
  }

  #onSynced(answer: SyncGroupResponse): void {
    this.#sync = undefined;
    if (answer.error !== "NONE") {
      this.#follow(answer.error);
      return;
    }
    const [orders] = decodeAssignment(answer.assignment).partitions;
    this.work = { generationId: this.joined?.generationId ?? -1, partitions: orders?.partitions ?? [] };
  }

  #follow(error: string | undefined): void {
    if (error === "NONE") return;
    if (error === "UNKNOWN_MEMBER_ID" || error === "FENCED_INSTANCE_ID") this.memberId = "";
    this.work = undefined;
  }
}

const action = fc.record({
  client: fc.nat({ max: 4 }),
  what: fc.oneof(
    { weight: 4, arbitrary: fc.constant("step" as const) },
    { weight: 20, arbitrary: fc.constant("everybody" as const) },
    { weight: 10, arbitrary: fc.constant("commit" as const) },
    { weight: 5, arbitrary: fc.constantFrom("pass", "lost", "resume") },
    fc.constantFrom("leave", "restart", "disconnect", "rejoin", "failOver", "pause", "longPass"),
  ),
  topics: fc.constantFrom(["orders"], ["orders", "bills"]),
});

/** Runs the actions and checks after each of them what must always hold. Answers the bench as they left it. */
function run(actions: readonly (typeof action extends fc.Arbitrary<infer Action> ? Action : never)[]): {
  readonly bench: ClassicBench;
  readonly commits: number;
} {
  const bench = new ClassicBench({ initialRebalanceDelayMs: 1_000, maxSize: 4 });
  const clients = Array.from(
    { length: 5 },
    (_, at) => new RandomClient(bench, at < 2 ? { groupInstanceId: `s${at}` } : {}),
  );
  /** By "generation-partition": who was given it. */
  const owners = new Map<string, string>();
  let newest = 0;
  let commits = 0;
  for (const { client: at, what, topics } of actions) {
    const client = clients[at];
    if (client === undefined) continue;
    if (what === "pause") client.isPaused = true;
    if (what === "resume") client.isPaused = false;
    if (what === "step") client.step(topics);
    if (what === "everybody") for (const each of clients) if (!each.isPaused) each.step(topics);
    if (what === "rejoin") client.rejoin(topics);
    if (what === "lost") {
      // Its join is heard, and takes part in the next generation; what comes of it reaches nobody for a while.
      client.rejoin(topics);
      client.disconnect();
      client.isPaused = true;
    }
    if (what === "leave") client.leave();
    if (what === "restart") client.restart();
    if (what === "disconnect") client.disconnect();
    if (what === "pass") bench.pass(1_700);
    if (what === "longPass") bench.pass(61_000);
    if (what === "failOver") {
      // The runtime answers what waits with NOT_COORDINATOR, which to a client is a lost connection.
      for (const each of clients) each.disconnect();
      bench.calls.length = 0;
      bench.failOver();
    }
    for (const { name, work } of clients) {
      for (const partition of work?.partitions ?? []) {
        const key = `${work?.generationId}-${partition}`;
        expect(owners.get(key) ?? name, `partition ${key}`).toBe(name);
        owners.set(key, name);
      }
      newest = Math.max(newest, work?.generationId ?? 0);
    }
    for (const { identity, groupInstanceId, work } of what === "commit" ? clients : []) {
      if (work === undefined || bench.commit(identity, { groupInstanceId }) !== "NONE") continue;
      commits++;
      expect(work.generationId, "a commit of an older generation").toBe(newest);
    }
    expect(bench.calls.every(({ count }) => count <= 1)).toBe(true);
    const { members, state } = bench.group.describe();
    expect(members.length).toBeLessThanOrEqual(4);
    expect(members.length === 0 && state === "Stable").toBe(false);
  }
  return { bench, commits };
}

const silence = { client: 0, what: "longPass", topics: ["orders"] } as const;

test("whatever clients do: a partition has one owner in a generation, old ones cannot commit, nobody waits for ever", () => {
  let commits = 0;
  fc.assert(
    fc.property(fc.array(action, { minLength: 50, maxLength: 250, size: "max" }), (actions) => {
      const { bench, commits: accepted } = run([...actions, silence, silence, silence, silence, silence]);
      commits += accepted;
      expect(bench.calls.filter(({ count }) => count !== 1)).toEqual([]);
      expect([bench.group.state, bench.group.isEmpty]).toEqual(["Empty", true]);
      expect(bench.group.nextDeadlineMs).toBe(Infinity);
    }),
    { numRuns: 200 },
  );
  expect(commits).toBeGreaterThan(1_000);
});

test("two coordinators that read the same log see the same group", () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 20, maxLength: 120, size: "max" }), (actions) => {
      const { bench } = run(actions);
      bench.failOver();
      const once = bench.group.describe();
      bench.failOver();
      expect(bench.group.describe()).toEqual(once);
      const last = bench.values.at(-1);
      expect([once.epoch, once.members.map(({ memberId }) => memberId)]).toEqual([
        last?.generation ?? 0,
        last?.members.map(({ memberId }) => memberId) ?? [],
      ]);
    }),
    { numRuns: 50 },
  );
});
