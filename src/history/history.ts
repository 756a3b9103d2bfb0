import type { LograftError } from "../base/errors.ts";
import { operationError } from "../base/errors.ts";
import type {
  CompleteLine,
  FaultLine,
  FinalLine,
  HistoryLine,
  InvokeLine,
  ObserveLine,
  ReadRecord,
  RunLine,
} from "./history-line.ts";
import { GroupHistory } from "./group-history.ts";
import { Interner } from "./interner.ts";
import { KeyHistory } from "./key-history.ts";
import type { MetadataOperation } from "./metadata-operation.ts";
import { metadataOperationsOf } from "./metadata-operation.ts";
import { OperationTable } from "./operation-table.ts";
import type { LinePlace } from "./parse-line.ts";
import { parseHistoryLine } from "./parse-line.ts";
import { Streaks } from "./streaks.ts";
import { ValueTable } from "./value-table.ts";

/** A fault of the nemesis. */
export interface Fault {
  readonly kind: string;
  readonly startedAt: number;
  /** Infinity: it was never ended. */
  endedAt: number;
  readonly keys: readonly string[];
  /** Keys whose consumer in a group it hits. */
  readonly held: readonly string[];
  /** Groups whose coordinator it hits. */
  readonly groups: readonly string[];
  readonly nodes: readonly number[];
  /** The consequence that was seen; "" when none was. */
  effect: string;
}

/**
 * The history of a run as columns, made from its lines. Files may come in any order; the lines of one process come in
 * theirs. Memory is about 600 bytes for an operation with one record.
 */
export class History {
  readonly operations = new OperationTable();
  readonly values = new ValueTable();
  readonly streaks = new Streaks();
  readonly keys: KeyHistory[] = [];
  readonly metadata: MetadataOperation[] = [];
  readonly groups = new Map<string, GroupHistory>();
  readonly faults = new Map<number, Fault>();
  readonly fenced: { readonly at: number; readonly count: number }[] = [];
  readonly broken: { readonly at: number; readonly what: string }[] = [];
  /** Longest standstill of the clients' event loop, ms. */
  longestStallMs = 0;
  run: RunLine | undefined;
  readonly #keyNames = new Interner();

  /** Takes a line of text; an empty one is nothing. @throws LograftError INVALID_ARGUMENT with its place. */
  addText(text: string, place: LinePlace): void {
    if (text.trim() !== "") this.add(parseHistoryLine(text, place), place);
  }

  /** @throws LograftError INVALID_ARGUMENT when it contradicts what came before. */
  add(line: HistoryLine, place: LinePlace = { file: "history", line: 0 }): void {
    switch (line.type) {
      case "run":
        this.#addRun(line, place);
        break;
      case "invoke":
        this.#invoke(line, place);
        break;
      case "ok":
      case "fail":
      case "info":
        this.#complete(line, place);
        break;
      case "fault":
        this.#addFault(line, place);
        break;
      case "observe":
        this.#observe(line);
        break;
      case "brokers":
        this.fenced.push({ at: line.t, count: line.fenced.length });
        break;
      case "final":
        this.#addPass(line);
        break;
      case "replica":
        this.key(line.k).replicas.push(line);
        break;
      case "member":
        this.group(line.group).addMember(line);
        break;
      case "handled":
        this.group(line.group).handled.push(line);
        break;
      case "groupEnd":
        this.group(line.group).ends.push(line);
        break;
      case "broken":
        this.broken.push({
          at: line.t,
          what: line.node === undefined ? line.what : `node ${line.node}: ${line.what}`,
        });
        break;
      case "stall":
        this.longestStallMs = Math.max(this.longestStallMs, line.ms);
        break;
    }
  }

  /** The key of this name, new or known. */
  key(name: string): KeyHistory {
    return this.#keyAt(this.#keyId(name));
  }

  /** The group of this name, new or known. */
  group(name: string): GroupHistory {
    let group = this.groups.get(name);
    if (group === undefined) {
      group = new GroupHistory(name);
      this.groups.set(name, group);
    }
    return group;
  }

  keyName(id: number): string {
    return this.#keyNames.text(id);
  }

  /** The number of a known key. */
  keyId(name: string): number {
    return this.#keyNames.find(name) ?? -1;
  }

  #addRun(line: RunLine, place: LinePlace): void {
    const known = this.run;
    if (known !== undefined && (known.run !== line.run || known.profile !== line.profile)) {
      throw refusal(
        place,
        `run ${line.run} (${line.profile}) after run ${known.run} (${known.profile}); check them apart`,
      );
    }
    this.run = line;
  }

  #invoke(line: InvokeLine, place: LinePlace): void {
    const operation = this.operations.invoke(line);
    if (operation === undefined)
      throw refusal(place, `operation ${line.i} of process ${line.p} is open already`);
    for (const mop of line.mops ?? []) {
      if (mop[0] === "send") this.#addWrite(operation, mop[1], mop.length === 3 ? mop[2] : mop[3], place);
      else if (mop[0] === "commit") this.group(mop[1]).addCommit(operation, line.p, mop);
    }
  }

  #addWrite(operation: number, key: string, name: string, place: LinePlace): void {
    const value = this.values.id(name);
    if (this.values.isSent(value))
      throw refusal(place, `value ${name} is sent a second time; values are unique`);
    const id = this.#keyId(key);
    this.values.writer[value] = operation;
    this.values.key[value] = id;
    this.#keyAt(id).writes.push(value);
  }

  #complete(line: CompleteLine, place: LinePlace): void {
    const operation = this.operations.complete(line);
    if (operation === undefined) {
      throw refusal(place, `operation ${line.i} of process ${line.p} completes and was not invoked`);
    }
    switch (line.f) {
      case "send":
        this.#completeSend(operation, line, place);
        break;
      case "poll":
        this.#completePoll(operation, line);
        break;
      case "listOffsets":
        if (line.type === "ok") this.#addEnds(operation, line);
        break;
      case "assign":
      case "subscribe":
      case "seek":
        for (const mop of line.mops ?? []) {
          if (mop[0] === "assign" || mop[0] === "subscribe" || mop[0] === "seek") {
            this.streaks.interrupt(line.p, this.#keyId(mop[1]));
          }
        }
        if (line.f === "subscribe") this.streaks.subscribe(line.p);
        break;
      case "fetchOffset":
        for (const mop of line.mops ?? []) {
          if (mop[0] === "committed" && line.type === "ok") this.group(mop[1]).addFetch(operation, mop);
        }
        break;
      case "crash":
        this.streaks.interruptAll(line.p);
        break;
      case "commit":
        // All of it was in the invocation.
        break;
      case "createTopic":
      case "deleteTopic":
      case "describe":
        this.metadata.push(...metadataOperationsOf(line, operation, this.operations.outcome(operation)));
        break;
    }
  }

  #completeSend(operation: number, line: CompleteLine, place: LinePlace): void {
    let sequence = line.seq ?? -1;
    for (const mop of line.mops ?? []) {
      if (mop[0] !== "send") continue;
      const name = mop.length === 3 ? mop[2] : mop[3];
      const value = this.values.id(name);
      if (this.values.writer[value] !== operation)
        throw refusal(place, `value ${name} is of another operation`);
      if (mop.length === 4) this.values.offset[value] = mop[2];
      this.values.setSession(value, line.pid ?? -1, line.ep ?? -1, sequence);
      if (sequence >= 0) sequence++;
      this.#addAnswer(operation, mop[1], line);
    }
  }

  #completePoll(operation: number, line: CompleteLine): void {
    const { reb, mops = [] } = line;
    for (const name of [...(reb?.revoked ?? []), ...(reb?.gained ?? [])]) {
      this.streaks.interrupt(line.p, this.#keyId(name));
    }
    for (const mop of mops) {
      if (mop[0] === "poll" && mop[1] !== undefined) {
        const records = mop[1];
        for (const name in records) this.#addReads(operation, line, name, records[name] ?? []);
      } else if (mop[0] === "damaged") {
        const [, key, offset, kind, text] = mop;
        this.key(key).damaged.push({ operation, offset, kind, text });
      }
    }
    if (!this.operations.isOk(operation)) this.streaks.interruptAll(line.p);
  }

  #addReads(operation: number, line: CompleteLine, name: string, records: readonly ReadRecord[]): void {
    if (records.length === 0) return;
    const id = this.#keyId(name);
    const key = this.#keyAt(id);
    key.pollOperation.push(operation);
    key.pollFirst.push(key.readOffset.length);
    key.pollStreak.push(this.streaks.current(line.p, id));
    for (const [
      offset,
      text,
      leaderEpoch = -1,
      producerId = -1,
      producerEpoch = -1,
      sequence = -1,
    ] of records) {
      const value = this.values.id(text);
      if (this.values.key[value] === -1) this.values.key[value] = id;
      key.readOffset.push(offset);
      key.readValue.push(value);
      key.readEpoch.push(leaderEpoch);
      this.values.setSession(value, producerId, producerEpoch, sequence);
    }
    this.#addAnswer(operation, name, line);
  }

  #addEnds(operation: number, line: CompleteLine): void {
    for (const mop of line.mops ?? []) {
      if (mop[0] !== "end") continue;
      const isCommitted = line.iso === "read_committed";
      this.key(mop[1]).ends.push({ operation, isCommitted, offset: mop[2] });
      this.#addAnswer(operation, mop[1], line);
    }
  }

  #addAnswer(operation: number, key: string, { type, node, le }: CompleteLine): void {
    if (type !== "ok" || node === undefined || le === undefined) return;
    this.key(key).answers.push({ operation, node, leaderEpoch: le });
  }

  #addFault(line: FaultLine, place: LinePlace): void {
    const { n, kind, t, keys = [], held = [], groups = [], nodes = [] } = line;
    const known = this.faults.get(n);
    if (line.at === "start") {
      if (known !== undefined) throw refusal(place, `fault ${n} begins a second time`);
      this.faults.set(n, { kind, startedAt: t, endedAt: Infinity, keys, held, groups, nodes, effect: "" });
      return;
    }
    if (known === undefined) throw refusal(place, `fault ${n} ends and never began`);
    known.endedAt = t;
    known.effect = line.effect ?? "";
  }

  #observe({ t, k, leader, le, isr, replicas }: ObserveLine): void {
    const isFull = leader >= 0 && isr.length === replicas.length;
    this.key(k).observed.push({ at: t, leader, leaderEpoch: le, isFull });
  }

  #addPass({ p, k, start, end, since, reached }: FinalLine): void {
    this.key(k).passes.push({ process: p, start, end, since, reached });
  }

  #keyId(name: string): number {
    const id = this.#keyNames.id(name);
    if (id === this.keys.length) this.keys.push(new KeyHistory(name));
    return id;
  }

  #keyAt(id: number): KeyHistory {
    const key = this.keys[id];
    if (key === undefined) throw operationError("INVALID_ARGUMENT", `there is no key ${id}`);
    return key;
  }
}

function refusal(place: LinePlace, problem: string): LograftError {
  return operationError("INVALID_ARGUMENT", `${place.file}:${place.line}: ${problem}`, {
    context: { ...place },
  });
}
