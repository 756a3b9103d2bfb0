import type { VoterChange } from "../../src/raft/membership.ts";
import type { RaftMessage, RaftSabotage, SnapshotWrite } from "../../src/raft/types.ts";
import { describeEntry, foundingEntry, replicaId, SimReplica } from "./replica.ts";
import { Safety } from "./safety.ts";

/*
 * The language of test/scenarios/raft. A command stands on one line; what it makes the replicas do follows behind "----"
 * up to an empty line. A "#" begins a comment. Replicas have names, links are written "1->2"; "*" is everybody.
 *
 *   nodes 1 2 3             voters 1, 2 and 3 with entry 1 (who they are) on disk and committed
 *   found 1 2 3             the same voters, but only the first has entry 1; the logs of the others are empty
 *   empty 4                 a replica that knows nothing
 *   log 1 terms 1 1 2 vote 2 term 3   another log for a replica that has not run: a term for each entry after the first
 *   option heartbeatTicks 3 for replicas made later (also electionTicks, maxAppendBytes, maxInflightAppends, sabotage, ...)
 *   random 1                what the source of randomness answers from now on; 0 at first
 *   tick 1 [times]          campaign 1         propose 1 text     unreachable 1      observe 4 1 [endpoint]
 *   add 1 4                 remove 1 2         move 1 2 endpoint  transfer 1 2       read 1 token
 *   snapshot 1 [keep]       crash 1            restart 1          status 1           show 1
 *   write 1                 the write in progress is done; "chunk 1": that of a snapshot's chunk; "damage 1": a chunk in
 *                           progress is changed on the way
 *   deliver 1->2 [count]    messages on the links, in order; only as many as are there now
 *   drop 1->2 [count]       double 1->2        the first waiting message comes twice; "last 1->2": the last comes first
 *   cut 1->2                what is sent there is lost, until "join 1->2"
 *   settle                  deliver and write until nothing is left; "quietly settle" shows only what changed
 *   fresh                   forgets all replicas
 */

const LINK = /^(?<from>[\w*]+)->(?<to>[\w*]+)$/;

/** Runs scenarios and tells what happened. */
export class Scenario {
  #replicas = new Map<string, SimReplica>();
  #links = new Map<string, RaftMessage[]>();
  #cut = new Set<string>();
  #options: Record<string, number | RaftSabotage> = {};
  #random = 0;
  #safety = new Safety();
  #roles = new Map<string, string>();
  #trace: string[] = [];
  #isQuiet = false;

  /** Carries out one command and answers what it led to, line by line. */
  run(line: string): string[] {
    this.#trace = [];
    const words = line.split(/\s+/);
    this.#isQuiet = words[0] === "quietly";
    if (this.#isQuiet) words.shift();
    const [command = "", ...args] = words;
    this.#execute(command, args);
    const replicas = [...this.#replicas.values()];
    this.#safety.check(replicas);
    this.#traceRoles();
    // What is made is known from the command; what it does at once is only that it begins.
    return ["nodes", "found", "empty", "log"].includes(command) ? [] : this.#trace;
  }

  #execute(command: string, args: readonly string[]): void {
    const [first = "", second = "", third = ""] = args;
    switch (command) {
      case "fresh":
        this.#replicas = new Map();
        this.#links = new Map();
        this.#cut = new Set();
        this.#safety = new Safety();
        this.#roles = new Map();
        this.#options = {};
        return;
      case "option":
        this.#options[first] = first === "sabotage" ? (second as RaftSabotage) : Number(second);
        return;
      case "random":
        this.#random = Number(first);
        return;
      case "nodes":
      case "found":
        for (const name of args) {
          const isFounding = command === "found";
          this.#make(name, isFounding && name !== first ? [] : args, isFounding);
        }
        return;
      case "empty":
        for (const name of args) this.#make(name, []);
        return;
      case "log":
        this.#rewrite(first, args.slice(1));
        return;
      case "deliver":
      case "drop":
        for (const link of this.#linksOf(first)) {
          const queue = this.#queue(link);
          const count = second === "" ? queue.length : Number(second);
          for (const message of queue.splice(0, count)) if (command === "deliver") this.#give(message);
        }
        return;
      case "double":
      case "last":
        for (const link of this.#linksOf(first)) this.#shuffle(this.#queue(link), command);
        return;
      case "cut":
        for (const link of this.#linksOf(first)) this.#cut.add(link);
        return;
      case "join":
        for (const link of this.#linksOf(first)) this.#cut.delete(link);
        return;
      case "settle":
        this.#settle();
        return;
      default:
        for (const replica of this.#named(first)) this.#act(replica, command, second, third);
    }
  }

  #act(replica: SimReplica, command: string, second: string, third: string): void {
    switch (command) {
      case "tick":
        for (let left = Number(second || 1); left > 0; left--) replica.input((node) => node.tick());
        return;
      case "campaign":
        replica.input((node) => node.campaign());
        return;
      case "propose":
        this.#answer(replica.input((node) => node.propose(Buffer.from(second))));
        return;
      case "unreachable":
        replica.input((node) => node.leaderUnreachable());
        return;
      case "observe":
        replica.input((node) => node.observe(replicaId(second), third || `${replica.id}:1`));
        return;
      case "add":
      case "remove":
      case "move": {
        const id = replicaId(second);
        const change: VoterChange =
          command === "move" ? { type: command, id, endpoint: third } : { type: command, id };
        this.#answer(replica.input((node) => node.changeVoters(change)));
        return;
      }
      case "transfer":
        this.#answer(replica.input((node) => node.transferLeadership(replicaId(second))));
        return;
      case "read":
        this.#safety.readAsked(Number(second));
        this.#answer(replica.input((node) => node.readIndex(Number(second))));
        return;
      case "snapshot":
        this.#answer(replica.snapshot(Number(second || 0)));
        return;
      case "crash":
        replica.crash();
        return;
      case "restart":
        replica.start();
        return;
      case "write":
        if (!replica.finishWrite()) this.#tell(`${replica.id} has nothing to write`);
        return;
      case "chunk":
        if (!replica.finishSnapshotWrite()) this.#tell(`${replica.id} has no chunk to write`);
        return;
      case "damage":
        this.#damage(replica);
        return;
      case "status":
        this.#showStatus(replica);
        return;
      case "show":
        this.#tell(replica.log.map(describeEntry).join(", ") || "nothing");
        return;
      default:
        throw new Error(`there is no command "${command}"`);
    }
  }

  #make(name: string, voters: readonly string[], isFounding = false): void {
    const options = { electionTicks: 10, heartbeatTicks: 2, ...this.#options };
    const replica = new SimReplica(name, options, (max) => Math.min(this.#random, max - 1), {
      onSend: (message) => this.#send(message),
      onWrite: ({ hardState, truncateAfter, entries }) => {
        const { term, vote, commit } = hardState;
        const cut = truncateAfter === undefined ? "" : ` cut behind ${truncateAfter}`;
        const list = entries.map(describeEntry).join(", ");
        this.#detail(`${name} writes term ${term} vote ${vote ?? "-"} commit ${commit}${cut} [${list}]`);
      },
      onApply: (entry) => {
        this.#safety.applied(replicaId(name), entry);
        this.#tell(`${name} applies ${describeEntry(entry)}`);
      },
      onRestore: ({ index, term, voters: at }) =>
        this.#tell(`${name} restores ${index}/${term} voters ${at.map(({ id }) => id).join(" ")}`),
      onRead: ({ token, index }) => {
        this.#safety.readAnswered(token, index);
        this.#tell(`${name} reads ${token} at ${index ?? "nothing"}`);
      },
      onSnapshotWrite: (write) => this.#detail(`${name} ${describeSnapshotWrite(write)}`),
    });
    if (voters.length > 0) {
      replica.disk.entries = [foundingEntry(...voters)];
      replica.disk.hardState = { term: 1, vote: undefined, commit: isFounding ? 0 : 1 };
    }
    this.#replicas.set(name, replica);
    replica.start();
  }

  #rewrite(name: string, words: readonly string[]): void {
    const replica = this.#replica(name);
    replica.crash();
    const terms = takeNumbers(words, "terms");
    const [founding] = replica.disk.entries;
    if (founding === undefined) throw new Error(`${name} has no log to write on`);
    const entries = [founding];
    for (const [at, term] of terms.entries()) {
      entries.push({ index: at + 2, term, kind: "data", data: Buffer.from(`${term}`) });
    }
    replica.disk.entries = entries;
    const vote = words[words.indexOf("vote") + 1];
    replica.disk.hardState = {
      term: takeNumbers(words, "term")[0] ?? terms.at(-1) ?? 1,
      vote: words.includes("vote") && vote !== undefined ? replicaId(vote) : undefined,
      commit: takeNumbers(words, "commit")[0] ?? 1,
    };
    replica.start();
  }

  #send(message: RaftMessage): void {
    this.#safety.sent(message);
    const link = `${message.from}->${message.to}`;
    const isLost = this.#cut.has(link) || !this.#replicas.has(message.to);
    this.#detail(`${link} ${describeMessage(message)}${isLost ? " (lost)" : ""}`);
    if (!isLost) this.#queue(link).push(message);
  }

  #give(message: RaftMessage): void {
    const replica = this.#replica(message.to);
    if (replica.isUp) replica.input((node) => node.step(message));
  }

  #shuffle(queue: RaftMessage[], command: string): void {
    if (command === "double" && queue[0] !== undefined) queue.unshift(queue[0]);
    const last = command === "last" ? queue.pop() : undefined;
    if (last !== undefined) queue.unshift(last);
  }

  #settle(): void {
    for (let round = 0; round < 1000; round++) {
      let isDone = true;
      for (const replica of this.#replicas.values()) {
        while (replica.isUp && (replica.finishWrite() || replica.finishSnapshotWrite())) isDone = false;
      }
      for (const link of this.#linksOf("*->*")) {
        for (const message of this.#queue(link).splice(0)) {
          this.#give(message);
          isDone = false;
        }
      }
      this.#safety.check([...this.#replicas.values()]);
      this.#traceRoles();
      if (isDone) return;
    }
    throw new Error("the replicas never come to rest");
  }

  #damage(replica: SimReplica): void {
    const write = replica.pendingSnapshot;
    if (write === undefined) throw new Error(`${replica.id} receives no chunk`);
    const data = Buffer.from(write.request.data);
    data.writeUInt8(data.readUInt8(0) ^ 0xff, 0);
    replica.damage(data);
  }

  #showStatus(replica: SimReplica): void {
    const {
      role,
      term,
      leader,
      commit,
      lastIndex,
      durableIndex,
      snapshotIndex,
      voters,
      votersIndex,
      progress,
    } = replica.status;
    const names = voters.map(({ id }) => id).join(" ");
    this.#tell(
      `${role} in term ${term} leader ${leader ?? "-"} commit ${commit} last ${lastIndex} durable ${durableIndex} ` +
        `snapshot ${snapshotIndex} voters ${names} (${votersIndex})`,
    );
    for (const { id, endpoint, isVoter, matchIndex, isActive, isCaughtUp } of progress) {
      const flags = [
        isVoter ? "voter" : "observer",
        isActive ? "active" : "silent",
        isCaughtUp ? "caught up" : "behind",
      ];
      this.#tell(`  ${id} at ${endpoint}: match ${matchIndex}, ${flags.join(", ")}`);
    }
  }

  #traceRoles(): void {
    for (const [name, replica] of this.#replicas) {
      if (!replica.isUp) {
        this.#roles.delete(name);
        continue;
      }
      const { role, term, leader, voters } = replica.status;
      const now =
        `${role} in term ${term}` +
        (role === "follower" ? ` of ${leader ?? "nobody"}` : "") +
        `, voters ${voters.map(({ id }) => id).join(" ") || "-"}`;
      if (this.#roles.get(name) !== now) this.#tell(`${name} is ${now}`);
      this.#roles.set(name, now);
    }
  }

  #answer(answer: unknown): void {
    this.#tell(
      typeof answer === "object" && answer !== null && "index" in answer && "term" in answer
        ? `at ${String(answer.index)}/${String(answer.term)}`
        : String(answer),
    );
  }

  #replica(name: string): SimReplica {
    const replica = this.#replicas.get(name);
    if (replica === undefined) throw new Error(`there is no replica ${name}`);
    return replica;
  }

  #named(name: string): SimReplica[] {
    return name === "*" ? [...this.#replicas.values()].filter(({ isUp }) => isUp) : [this.#replica(name)];
  }

  #queue(link: string): RaftMessage[] {
    const queue = this.#links.get(link) ?? [];
    this.#links.set(link, queue);
    return queue;
  }

  /** The links that a pattern like "1->*" stands for, in order of name. */
  #linksOf(pattern: string): string[] {
    const groups = LINK.exec(pattern)?.groups;
    if (groups === undefined) throw new Error(`"${pattern}" is no link; write 1->2`);
    const names = [...this.#replicas.keys()];
    const from = groups["from"] === "*" ? names : [groups["from"] ?? ""];
    const to = groups["to"] === "*" ? names : [groups["to"] ?? ""];
    return from.flatMap((a) => to.filter((b) => b !== a).map((b) => `${a}->${b}`));
  }

  #tell(text: string): void {
    this.#trace.push(text);
  }

  #detail(text: string): void {
    if (!this.#isQuiet) this.#trace.push(text);
  }
}

/** A scenario file with what happens now behind each command. The texts agree when nothing changed. */
export function replay(text: string): string {
  const scenario = new Scenario();
  const out: string[] = [];
  let isExpected = false;
  for (const line of text.split("\n")) {
    // One empty line between commands, however many there were.
    if (line.trim() === "" && out.at(-1) === "" && !isExpected) continue;
    if (isExpected) {
      isExpected = line.trim() !== "";
      continue;
    }
    if (line === "----") {
      isExpected = true;
      continue;
    }
    if (line.trim() === "" || line.startsWith("#")) {
      out.push(line);
      continue;
    }
    out.push(line, "----", ...run(scenario, line), "");
  }
  return `${out.join("\n").trimEnd()}\n`;
}

function run(scenario: Scenario, line: string): string[] {
  try {
    return scenario.run(line);
  } catch (error) {
    return [`FAILED: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** One line for a message. */
export function describeMessage(message: RaftMessage): string {
  const head = `${message.type} ${message.term}`;
  switch (message.type) {
    case "PreVoteRequest":
      return `${head} last ${message.lastIndex}/${message.lastTerm}`;
    case "VoteRequest":
      return `${head} last ${message.lastIndex}/${message.lastTerm}${message.isTransfer ? " transfer" : ""}`;
    case "PreVoteResponse":
      return `${head} ${message.granted ? "yes" : "no"} to ${message.requestTerm}`;
    case "VoteResponse":
      return `${head} ${message.granted ? "yes" : "no"}`;
    case "AppendRequest": {
      const entries = message.entries.map(describeEntry).join(", ");
      return `${head} behind ${message.prevIndex}/${message.prevTerm} commit ${message.commit} [${entries}]`;
    }
    case "AppendResponse":
      return message.accepted
        ? `${head} has ${message.index}`
        : `${head} lacks ${message.index} hint ${message.hintIndex}/${message.hintTerm}`;
    case "HeartbeatRequest":
      return `${head} commit ${message.commit} round ${message.round}`;
    case "HeartbeatResponse":
      return `${head} round ${message.round}`;
    case "SnapshotRequest":
      return `${head} of ${message.snapshot.index}/${message.snapshot.term} from ${message.position}`;
    case "SnapshotResponse":
      return `${head} of ${message.snapshotIndex} has ${message.receivedBytes}`;
    case "TimeoutNowRequest":
      return head;
    case "ObserveRequest":
      return `${head} at ${message.endpoint}`;
  }
}

function describeSnapshotWrite({ request, isLast }: SnapshotWrite): string {
  const { snapshot, position } = request;
  return `receives snapshot ${snapshot.index}/${snapshot.term} from ${position}${isLast ? " to the end" : ""}`;
}

function takeNumbers(words: readonly string[], name: string): number[] {
  const at = words.indexOf(name);
  if (at < 0) return [];
  const rest = words.slice(at + 1);
  const end = rest.findIndex((word) => Number.isNaN(Number(word)));
  return (end < 0 ? rest : rest.slice(0, end)).map(Number);
}
