import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { LograftClient } from "lograft/client";
import { medianOf, printTable, round } from "./figures.ts";
import { heapOfGroup } from "./groups-heap.ts";
import { pidsOf, startCluster, startServer, usageOf } from "./processes.ts";
import type { ServerProcess } from "./processes.ts";

/*
 * npm run bench -- groups.idle: what groups cost that have nothing to do: 1,000 of 3 members, each of which sends its
 * heartbeats and waits for records that do not come, on three brokers. Prints the CPU and the memory of each broker before
 * the members come and when all groups are stable, and of the processes of the members.
 *   --groups N (1000)  --members N (3, of each group)  --clients N (3 processes)  --share N (25 members of one SDK client)
 *   --seconds N (60)  --base-port P (19292)  --dir DIR  --json FILE
 *
 * groups-idle.ts members --brokers A,B --first N --groups N --members N --share N   one process of members;
 *   prints {"address": "ready"} when all of its groups are stable
 */
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    groups: { type: "string", default: "1000" },
    members: { type: "string", default: "3" },
    clients: { type: "string", default: "3" },
    // A connection has 100 streams (grpc.max.concurrent.streams), of which each member takes one.
    share: { type: "string", default: "25" },
    seconds: { type: "string", default: "60" },
    first: { type: "string", default: "0" },
    brokers: { type: "string", default: "" },
    "base-port": { type: "string", default: "19292" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const TOPIC = "idle-groups";
/** Members that join at the same time, of each process. */
const JOINING = 32;
/** What joining left to the collector and to timers is not what idling costs. */
const SETTLE_MS = 10_000;
const groupCount = Number(options.groups);
const memberCount = Number(options.members);

if (positionals[0] === "members") await beMembers();
else await measure();

async function measure(): Promise<void> {
  const directory = await mkdtemp(join(options.dir, "lograft-groups-"));
  const results: { name: string; unit: string; median: number; each: readonly number[] }[] = [];
  const report = (name: string, unit: string, each: readonly number[]): void => {
    results.push({ name, unit, median: round(medianOf(each)), each: each.map(round) });
  };
  report("coordinator: heap, a group", "KiB", [(await heapOfGroup(groupCount, memberCount)) / 1024]);
  const basePort = Number(options["base-port"]);
  const cluster = await startCluster({ directory: join(directory, "cluster"), nodes: 3, basePort });
  const clients: ServerProcess[] = [];
  try {
    const brokers = await pidsOf(join(directory, "cluster"));
    await prepare(cluster.addresses);
    await pause(SETTLE_MS);
    const before = await watch(brokers);
    report("brokers, no member: CPU", "% of a core", before.cpu);
    report("brokers, no member: RSS", "MiB", before.rss);
    const startedAt = performance.now();
    const processes = Number(options.clients);
    const share = Math.ceil(groupCount / processes);
    const starting = Array.from({ length: processes }, (_, index) =>
      startServer([
        fileURLToPath(import.meta.url),
        "members",
        "--brokers",
        cluster.addresses.join(","),
        "--first",
        String(index * share),
        "--groups",
        String(Math.max(0, Math.min(share, groupCount - index * share))),
        "--members",
        options.members,
        "--share",
        options.share,
      ]),
    );
    for (const client of starting) clients.push(await client);
    report("all groups stable after", "s", [(performance.now() - startedAt) / 1000]);
    await pause(SETTLE_MS);
    const pids = clients.map(({ pid }) => pid);
    const [during, members] = await Promise.all([watch(brokers), watch(pids)]);
    report("brokers, all members: CPU", "% of a core", during.cpu);
    report("brokers, all members: RSS", "MiB", during.rss);
    const grown = during.rss.map((mib, index) => mib - (before.rss[index] ?? 0));
    const total = grown.reduce((sum, mib) => sum + mib, 0);
    report("brokers: RSS, a group", "KiB", [(total * 1024) / groupCount]);
    report("member processes: CPU", "% of a core", members.cpu);
    report("member processes: RSS", "MiB", members.rss);
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  }
  printTable([
    ["", "median", "unit", "each"],
    ...results.map(({ name, unit, median, each }) => [name, String(median), unit, each.join(", ")]),
  ]);
  if (options.json !== undefined) {
    const conditions = { node: process.version, groups: groupCount, members: memberCount };
    await writeFile(options.json, `${JSON.stringify({ ...conditions, results }, null, 2)}\n`);
  }
}

async function prepare(addresses: readonly string[]): Promise<void> {
  await using client = new LograftClient({ brokers: addresses });
  await client.admin().createTopics([{ name: TOPIC, partitions: memberCount, replicationFactor: 3 }]);
}

/** CPU share and memory of processes over the time that is measured. */
async function watch(
  pids: readonly number[],
): Promise<{ readonly cpu: readonly number[]; readonly rss: readonly number[] }> {
  const before = await Promise.all(pids.map((pid) => usageOf(pid)));
  const startedAt = performance.now();
  await pause(Number(options.seconds) * 1000);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await Promise.all(pids.map((pid) => usageOf(pid)));
  return {
    cpu: after.map(
      ({ cpuSeconds }, index) => ((cpuSeconds - (before[index]?.cpuSeconds ?? 0)) / seconds) * 100,
    ),
    rss: after.map(({ rssBytes }) => rssBytes / 2 ** 20),
  };
}

/** Joins all members of a share of the groups, and stays until the process is ended. */
async function beMembers(): Promise<void> {
  const total = groupCount * memberCount;
  const perClient = Number(options.share);
  const clients = Array.from(
    { length: Math.ceil(total / perClient) },
    () => new LograftClient({ brokers: options.brokers.split(",") }),
  );
  const consumers = clients.flatMap((client, index) =>
    Array.from({ length: Math.min(perClient, total - index * perClient) }, (_, place) => {
      const group = Number(options.first) + Math.floor((index * perClient + place) / memberCount);
      return client.consumer({ groupId: `idle-${group}`, topics: [TOPIC], commit: "manual" });
    }),
  );
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < consumers.length; index = next++) {
      const consumer = consumers[index];
      if (consumer === undefined) return;
      await consumer.ready();
    }
  };
  await Promise.all(Array.from({ length: JOINING }, work));
  while (!consumers.every(({ assignment }) => assignment.length === 1)) await pause(200);
  process.stdout.write(`${JSON.stringify({ address: "ready" })}\n`);
  process.once("SIGTERM", () => {
    // The cluster goes with them: nobody waits for thousands of orderly farewells.
    process.exit(0);
  });
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
