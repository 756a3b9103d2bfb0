import { writeFile } from "node:fs/promises";
import { arch, cpus, platform, release, tmpdir, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { Comparison, markdownOf, OWN_NAME } from "./comparison.ts";
import { cacheDirectory } from "./install.ts";
import { kafkaPeer } from "./kafka-peer.ts";
import { lograftPeer } from "./lograft-peer.ts";
import { natsPeer } from "./nats-peer.ts";
import type { InstalledPeer, Peer } from "./peer.ts";
import { redisPeer } from "./redis-peer.ts";
import { rocketmqPeer } from "./rocketmq-peer.ts";
import { allRows, rowsNamed } from "./rows.ts";
import { scheduleOf } from "./schedule.ts";
import type { Turn } from "./schedule.ts";
import { runSession } from "./sessions.ts";
import { settle } from "./stage.ts";

/*
 * npm run bench -- peers: lograft and what others would pick instead, on this machine, in turn (A B A B ...): the same
 * rows with the same records, batches, acknowledgements, replicas and clients. The peers are fetched and built on the
 * first run. docs/performance/peers.md says what is done and what it does not show.
 *
 *   --rounds N (3)  --seconds N (3, measured)  --warmup N (1, before that)  --only ROW,...  --peers kafka,...  --list
 *   --dir DIR (of the data)  --json FILE
 */
const peers: readonly Peer[] = [kafkaPeer, natsPeer, redisPeer, rocketmqPeer];
const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    warmup: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    peers: { type: "string", default: peers.map(({ name }) => name).join(",") },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

if (options.list) list();
else if (isUnderstood()) await compare();

function list(): void {
  process.stdout.write(`peers: ${peers.map(({ name }) => name).join(", ")}\n\n`);
  for (const { name, unit, better, what } of allRows) {
    process.stdout.write(
      `${name.padEnd(30)} ${`${unit}${better === "lower" ? " -" : ""}`.padEnd(10)} ${what}\n`,
    );
  }
}

/** Looks at all options before anything is started. */
function isUnderstood(): boolean {
  try {
    rowsNamed(wordsOf(options.only));
    peersNamed(wordsOf(options.peers));
    for (const name of ["rounds", "seconds", "warmup"] as const) numberOf(name, options[name]);
    return true;
  } catch (error) {
    tell(reasonOf(error));
    process.exitCode = 2;
    return false;
  }
}

async function compare(): Promise<void> {
  const rows = rowsNamed(wordsOf(options.only));
  const chosen = [lograftPeer, ...peersNamed(wordsOf(options.peers))];
  const comparison = new Comparison();
  const installed = new Map<string, InstalledPeer>();
  for (const peer of chosen) {
    try {
      installed.set(peer.name, await peer.install(cacheDirectory()));
    } catch (error) {
      tell(`${peer.name} is missing: ${reasonOf(error)}`);
      for (const { name } of rows) comparison.note(name, peer.name, `missing: ${firstLineOf(error)}`);
    }
  }
  for (const [system, peer] of installed) {
    tell(`${system} ${peer.version}`);
    for (const { name } of rows) {
      const reason = peer.lacks(name);
      if (reason !== undefined) comparison.note(name, system, `n/a: ${reason}`);
    }
  }
  const rounds = numberOf("rounds", options.rounds);
  const turns = scheduleOf({ rounds, systems: [...installed.keys()], rows });
  for (const turn of turns) {
    const peer = installed.get(turn.system);
    if (peer !== undefined) await take(turn, peer, comparison);
  }
  const systems = chosen.map(({ name }) => name);
  const compared = comparison.rows(rows, systems);
  process.stdout.write(`${machine()}\n\n${markdownOf(compared, systems)}`);
  if (options.json !== undefined) {
    const versions = Object.fromEntries([...installed].map(([name, { version }]) => [name, version]));
    const text = JSON.stringify({ machine: machine(), versions, options, rows: compared }, null, 2);
    await writeFile(options.json, `${text}\n`);
  }
}

/** One session of one system. What goes wrong is told in its rows, and the others go on. */
async function take(turn: Turn, peer: InstalledPeer, comparison: Comparison): Promise<void> {
  const { round, session, system } = turn;
  const wanted = new Set(turn.rows.map(({ name }) => name).filter((name) => peer.lacks(name) === undefined));
  if (wanted.size === 0) return;
  const startedAt = performance.now();
  tell(`round ${round + 1}, ${session}, ${system}`);
  const failed = (row: string, cause: unknown): void => {
    if (!wanted.has(row)) return;
    tell(`  ${row} failed: ${reasonOf(cause)}`);
    comparison.note(row, system, `failed: ${firstLineOf(cause)}`);
  };
  const given = new Set<string>();
  const add = (row: string, value: number): void => {
    if (!wanted.has(row)) return;
    given.add(row);
    if (!Number.isFinite(value)) {
      failed(row, new Error("the client gave no figure"));
      return;
    }
    tell(`  ${row} ${value.toPrecision(4)}`);
    comparison.add(row, system, value);
  };
  const phases = {
    warmupMs: numberOf("warmup", options.warmup) * 1000,
    measureMs: numberOf("seconds", options.seconds) * 1000,
  };
  try {
    const wants = (row: string): boolean => wanted.has(row);
    await runSession[session]({ peer, directory: options.dir, phases, wants, add, failed });
  } catch (error) {
    for (const row of wanted) if (!given.has(row)) failed(row, error);
  }
  await settle();
  tell(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

function peersNamed(names: readonly string[]): readonly Peer[] {
  return names.map((name) => {
    const peer = peers.find((one) => one.name === name);
    if (peer !== undefined) return peer;
    const known = peers.map((one) => one.name).join(", ");
    throw new Error(`--peers ${name}: there is none of that name; they are ${known}`);
  });
}

function wordsOf(text: string): readonly string[] {
  return text.split(",").filter((word) => word !== "" && word !== OWN_NAME);
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${name} ${text}: a number above 0 is needed`);
  return number;
}

function machine(): string {
  const [first] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const day = new Date().toISOString().slice(0, 10);
  return `${day}, ${platform()} ${release()} ${arch()}, ${cpus().length} x ${first?.model ?? "?"}, ${memory}, Node ${process.version}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function firstLineOf(error: unknown): string {
  return (reasonOf(error).split("\n")[0] ?? "").slice(0, 200);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
