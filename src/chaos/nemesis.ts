import { diskFaults } from "./disk-faults.ts";
import type { FaultKind, Planner } from "./fault.ts";
import type { HistoryLog } from "./history-log.ts";
import { memberFaults } from "./member-faults.ts";
import { nowNs } from "./monotonic-time.ts";
import { networkFaults } from "./network-faults.ts";
import type { ChangeCounts } from "./observer.ts";
import { processFaults } from "./process-faults.ts";
import type { Scene } from "./scene.ts";
import { segmentFaults } from "./segment-damage.ts";

/** What a fault led to may show so long after its end. */
const AFTERMATH_MS = 300;

/** Does one fault after the other to a cluster under load, in rotation, and notes each with what was seen of it. */
export class Nemesis {
  readonly #scene: Scene;
  readonly #log: HistoryLog;
  readonly #planners: Readonly<Record<FaultKind, Planner>>;
  #count = 0;

  constructor(deps: { readonly scene: Scene; readonly log: HistoryLog }) {
    this.#scene = deps.scene;
    this.#log = deps.log;
    this.#planners = {
      ...processFaults(deps.scene),
      ...networkFaults(deps.scene),
      ...diskFaults(deps.scene),
      ...segmentFaults(deps.scene),
      ...memberFaults(deps.scene),
    };
  }

  /**
   * Does faults of these kinds in rotation until the time (of `performance.now`) is over, each of them once at least; with
   * none, waits for it.
   */
  async run(kinds: readonly FaultKind[], untilMs: number, told: (text: string) => void): Promise<void> {
    for (let round = 0; round < kinds.length || performance.now() < untilMs; round++) {
      const kind = kinds[round % kinds.length];
      if (kind === undefined) {
        await this.#scene.sleep(untilMs - performance.now());
        return;
      }
      told(await this.strike(kind));
      await this.#scene.isWholeInTime();
      await this.#scene.sleep(this.#scene.options.quietMs);
    }
  }

  /** Does one fault to its end. Answers what happened, in a line. */
  async strike(kind: FaultKind): Promise<string> {
    const { observer } = this.#scene;
    const n = this.#count++;
    const { nodes, held = [], groups = [], run } = await this.#planners[kind]();
    const keys = observer.keysLedBy(nodes);
    const before = observer.counts;
    const startedAt = nowNs();
    this.#log.note({ type: "fault", n, kind, at: "start", t: startedAt, nodes, keys, held, groups });
    const seen = await run();
    const endedAt = nowNs();
    await this.#scene.sleep(AFTERMATH_MS);
    const effect = [seen, changesBetween(before, observer.counts)].filter((text) => text !== "").join(", ");
    this.#log.note({ type: "fault", n, kind, at: "end", t: endedAt, ...(effect === "" ? {} : { effect }) });
    const seconds = ((endedAt - startedAt) / 1e9).toFixed(1);
    const hit = nodes.join(", ") || (held.length > 0 ? "a member" : "the clients");
    return `${kind} of ${hit}, ${keys.length + held.length} keys, ${seconds} s: ${effect || "nothing seen"}`;
  }

  /** Undoes whatever may still be in force: every link whole, every broker and every member running. */
  async heal(): Promise<void> {
    const { cluster, observer, members } = this.#scene;
    members?.resumeAll();
    members?.fill();
    cluster.healAll();
    for (const nodeId of cluster.runningIds) cluster.broker(nodeId).resume();
    await cluster.startAll();
    for (const nodeId of cluster.nodeIds) observer.expectUp(nodeId);
  }
}

function changesBetween(before: ChangeCounts, after: ChangeCounts): string {
  return (["leaderChanges", "isrChanges", "fencings"] as const)
    .map((name) => [name, after[name] - before[name]] as const)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name.replace(/[A-Z]/, (letter) => ` ${letter.toLowerCase()}`)}`)
    .join(", ");
}
