import { errorMessage, operationError } from "../../base/errors.ts";
import { BrokerChild, describeEnd } from "./broker-child.ts";
import type { ReadyBroker } from "./broker-child.ts";
import type { ControlRequest, NodeStatus } from "./control.ts";
import type { DevDirectory } from "./dev-directory.ts";
import { LogTail } from "./log-tail.ts";
import { readLogLine } from "./log-line.ts";
import type { ClusterPlan, PlannedNode } from "./plan.ts";
import { DEV_HOST, startArguments, withMoreNodes } from "./plan.ts";
import { portsTakenError, takenPorts } from "./ports.ts";

/** What the supervisor tells its user, one line each. */
export interface SupervisorReport {
  /** Something happened that a person wants to know. */
  readonly note: (text: string) => void;
}

/** A request about the brokers; stopping everything is up to whoever runs the supervisor. */
export type NodeRequest = Exclude<ControlRequest, { readonly command: "down" }>;

/** Until a broker that was started must be ready: longer than any recovery of a development cluster. */
export const READY_TIMEOUT_MS = 60_000;
/** Until a broker that was told to stop is killed: longer than a broker takes to give up by itself (30 s). */
const STOP_TIMEOUT_MS = 35_000;
const LOG_POLL_MS = 200;
/** Lines of a broker's log shown at a time; the rest is in the file. */
const SHOWN_LINES = 10;

/**
 * Starts the brokers of a plan as child processes and watches over them: it restarts nothing by itself, so that what a
 * user does to a broker stays done, and says what ended and how to go on.
 */
export class Supervisor {
  readonly #directory: DevDirectory;
  readonly #controlPath: string;
  readonly #report: SupervisorReport;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #children = new Map<number, BrokerChild>();
  #plan: ClusterPlan;
  #saved: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(
    options: {
      readonly directory: DevDirectory;
      readonly plan: ClusterPlan;
      readonly controlPath: string;
      readonly env: Readonly<Record<string, string | undefined>>;
    },
    deps: { readonly report: SupervisorReport },
  ) {
    this.#directory = options.directory;
    this.#plan = options.plan;
    this.#controlPath = options.controlPath;
    this.#env = options.env;
    this.#report = deps.report;
  }

  get plan(): ClusterPlan {
    return this.#plan;
  }

  get status(): NodeStatus[] {
    return this.#plan.nodes.map(({ nodeId, clientPort, peerPort }) => {
      const child = this.#children.get(nodeId);
      const isAlive = child !== undefined && child.state !== "ended";
      return {
        nodeId,
        pid: isAlive ? child.pid : 0,
        state: child === undefined || child.state === "ended" ? "stopped" : child.state,
        client: `${DEV_HOST}:${clientPort}`,
        peer: `${DEV_HOST}:${peerPort}`,
      };
    });
  }

  /** Starts all brokers at once: founders wait for one another. Stops them again when one of them cannot. */
  async startAll(): Promise<ReadyBroker[]> {
    try {
      return await Promise.all(this.#plan.nodes.map((node) => this.#start(node)));
    } catch (error) {
      await this.stopAll();
      throw error;
    }
  }

  /** What another terminal asked for. @throws LograftError INVALID_ARGUMENT, ADDRESS_IN_USE, TIMEOUT... */
  async handle(request: NodeRequest): Promise<readonly NodeStatus[]> {
    switch (request.command) {
      case "status":
        break;
      case "start":
        await this.#startOne(this.#node(request.nodeId));
        break;
      case "stop":
        await this.#stopOne(this.#node(request.nodeId), request.isKill);
        break;
      case "add":
        await this.#add(request.count);
        break;
    }
    return this.status;
  }

  /** SIGTERM to all at once; resolves when all are gone. Says of each that did not end well that it did not. */
  async stopAll(): Promise<void> {
    this.#isStopping = true;
    const alive = [...this.#children].filter(([, child]) => child.state !== "ended");
    await Promise.all(
      alive.map(async ([nodeId, child]) => {
        const isKilled = await stopChild(child);
        const end = await child.ended;
        if (end.code === 0) return;
        const how = isKilled ? "did not stop in time and was killed" : describeEnd(end);
        const option = this.#directory.option;
        this.#report.note(
          `node ${nodeId} ${how}; its next start checks the logs; see: lograft dev logs ${nodeId}${option}`,
        );
      }),
    );
    await this.#saved;
  }

  /** SIGKILL to all, now; for the end of the process. */
  killAll(): void {
    for (const child of this.#children.values()) child.kill();
  }

  /** Writes dev.json, behind the writes that are under way. */
  save(): Promise<void> {
    const next = this.#saved.then(async () => {
      const alive = [...this.#children].filter(([, child]) => child.state !== "ended");
      await this.#directory.write({
        plan: this.#plan,
        supervisorPid: this.#isStopping ? 0 : process.pid,
        controlPath: this.#controlPath,
        pids: Object.fromEntries(alive.map(([nodeId, child]) => [nodeId, child.pid])),
      });
    });
    this.#saved = next.catch((error: unknown) => {
      this.#report.note(`dev.json cannot be written: ${errorMessage(error)}`);
    });
    return this.#saved;
  }

  async #startOne(node: PlannedNode): Promise<void> {
    if ((this.#children.get(node.nodeId)?.state ?? "ended") !== "ended") {
      throw operationError(
        "INVALID_ARGUMENT",
        `node ${node.nodeId} is running already; see: lograft dev status`,
      );
    }
    const taken = await takenPorts([node]);
    if (taken.length > 0) throw portsTakenError(taken, false);
    await this.#start(node);
    this.#report.note(`node ${node.nodeId} is ready`);
  }

  async #stopOne(node: PlannedNode, isKill: boolean): Promise<void> {
    const child = this.#children.get(node.nodeId);
    if (child === undefined || child.state === "ended") {
      throw operationError("INVALID_ARGUMENT", `node ${node.nodeId} is not running; see: lograft dev status`);
    }
    if (isKill) {
      child.kill();
      await child.ended;
    } else {
      await stopChild(child);
    }
  }

  async #add(count: number): Promise<void> {
    const plan = withMoreNodes(this.#plan, count);
    const added = plan.nodes.slice(this.#plan.nodes.length);
    const taken = await takenPorts(added);
    if (taken.length > 0) throw portsTakenError(taken, false);
    this.#plan = plan;
    await Promise.all(added.map((node) => this.#start(node)));
    for (const { nodeId } of added) this.#report.note(`node ${nodeId} has joined`);
  }

  async #start(node: PlannedNode): Promise<ReadyBroker> {
    if (this.#isStopping) throw operationError("CLOSED", "the cluster is stopping");
    const logPath = this.#directory.logOf(node.nodeId);
    const args = startArguments(this.#plan, node, this.#directory.dataOf(node.nodeId));
    const child = new BrokerChild({ args, logPath, env: this.#env });
    this.#children.set(node.nodeId, child);
    const tail = this.#follow(node.nodeId, child);
    this.#watch(node.nodeId, child, tail);
    void this.save();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), READY_TIMEOUT_MS);
    try {
      return await Promise.race([child.ready, rejectedOn(late.signal, node.nodeId)]);
    } catch (error) {
      if (child.state !== "ended") throw error;
      const said = await lastLines(logPath, child.logStart);
      throw operationError(
        "CONNECTION_FAILED",
        `node ${node.nodeId} did not start: ${errorMessage(error)}\n${said}`,
        {
          cause: error,
        },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Says when a broker that nobody told to stop has ended, and how to start it again. */
  #watch(nodeId: number, child: BrokerChild, tail: { readonly finish: () => Promise<void> }): void {
    const watch = async (): Promise<void> => {
      const end = await child.ended;
      await tail.finish();
      void this.save();
      if (this.#isStopping) return;
      this.#report.note(
        `node ${nodeId} ${describeEnd(end)}; start it again with: lograft dev start ${nodeId}${this.#directory.option}`,
      );
    };
    watch().catch((error: unknown) => this.#report.note(`node ${nodeId}: ${errorMessage(error)}`));
  }

  /** Shows the warnings and errors of a broker's log as they come. */
  #follow(nodeId: number, child: BrokerChild): { readonly finish: () => Promise<void> } {
    const tail = new LogTail(this.#directory.logOf(nodeId), child.logStart);
    const show = async (): Promise<void> => {
      const lines = await tail.read();
      // Brokers that stop together warn of one another's end.
      if (this.#isStopping) return;
      const warnings = lines.map(readLogLine).filter((line) => line.isWarning);
      for (const { text } of warnings.slice(0, SHOWN_LINES)) this.#report.note(`node ${nodeId} | ${text}`);
      const more = warnings.length - SHOWN_LINES;
      if (more > 0)
        this.#report.note(
          `node ${nodeId} | ... ${more} more; see: lograft dev logs ${nodeId}${this.#directory.option}`,
        );
    };
    let reading = Promise.resolve();
    const poll = (): void => {
      reading = reading
        .then(show)
        .catch((error: unknown) => this.#report.note(`node ${nodeId}: its log: ${errorMessage(error)}`));
    };
    const timer = setInterval(poll, LOG_POLL_MS);
    return {
      finish: () => {
        clearInterval(timer);
        poll();
        return reading;
      },
    };
  }

  #node(nodeId: number): PlannedNode {
    const node = this.#plan.nodes.find((one) => one.nodeId === nodeId);
    if (node !== undefined) return node;
    const known = this.#plan.nodes.map((one) => one.nodeId).join(", ");
    throw operationError("INVALID_ARGUMENT", `there is no node ${nodeId}; there are ${known}`);
  }
}

/** True when it had to be killed. */
async function stopChild(child: BrokerChild): Promise<boolean> {
  child.stop();
  let isKilled = false;
  const timer = setTimeout(() => {
    isKilled = true;
    child.kill();
  }, STOP_TIMEOUT_MS);
  await child.ended;
  clearTimeout(timer);
  return isKilled;
}

function rejectedOn(signal: AbortSignal, nodeId: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => {
      const what = `node ${nodeId} is running but not ready after ${READY_TIMEOUT_MS / 1000} s`;
      reject(operationError("TIMEOUT", `${what}; see: lograft dev logs ${nodeId}`, { retriable: true }));
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

async function lastLines(path: string, from: number): Promise<string> {
  const lines = await new LogTail(path, from).read();
  const warnings = lines.map(readLogLine).filter((line) => line.isWarning);
  return warnings
    .slice(-SHOWN_LINES)
    .map((line) => `  ${line.text}`)
    .join("\n");
}
