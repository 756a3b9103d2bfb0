import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LograftClient } from "lograft/client";
import { silentLogger } from "../src/base/logger.ts";
import { groupPartition } from "../src/broker/offsets-topic.ts";
import { GrpcTransport } from "../src/client/grpc-transport.ts";
import { NodeClock } from "../src/platform/node/node-clock.ts";
import { NodeRandom } from "../src/platform/node/node-random.ts";
import { medianOf, printTable, round } from "./figures.ts";
import { pidsOf, startCluster } from "./processes.ts";

/*
 * npm run bench -- groups.failover: the coordinator of many committed offsets is killed; how long until the next one has
 * read them and answers. Three brokers; all groups lie in one partition of `__consumer_offsets`. Every offset is asked for
 * again afterwards.
 *   --commits N (1000000)  --groups N (1000)  --partitions N (100, of each group)  --runs N (3)
 *   --base-port P (19392)  --dir DIR  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    commits: { type: "string", default: "1000000" },
    groups: { type: "string", default: "1000" },
    partitions: { type: "string", default: "100" },
    runs: { type: "string", default: "3" },
    "base-port": { type: "string", default: "19392" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const TOPIC = "orders";
const NODES = 3;
const OFFSETS_PARTITIONS = 50;
const AT_ONCE = 32;
const CALL_TIMEOUT_MS = 10_000;
/** Between two questions to those who may be the coordinator. */
const ASK_MS = 5;
const partitionCount = Number(options.partitions);
const groups = groupsOfOnePartition(Number(options.groups));
const rounds = Math.ceil(Number(options.commits) / (groups.length * partitionCount));
const transport = new GrpcTransport(
  { lane: "direct", clientId: "bench" },
  { clock: new NodeClock(), logger: silentLogger, random: new NodeRandom() },
);
const samples = { commits: [] as number[], outage: [] as number[] };

for (let run = 0; run < Number(options.runs); run++) await measure();
await transport.close();
const results = [
  { name: "commits over the wire, replicated", unit: "commits/s", values: samples.commits },
  { name: "kill -9 of the coordinator to the next answer", unit: "ms", values: samples.outage },
].map(({ name, unit, values }) => ({
  name,
  unit,
  median: round(medianOf(values)),
  min: round(Math.min(...values)),
  max: round(Math.max(...values)),
}));
printTable([
  ["", "median", "unit", "min .. max"],
  ...results.map(({ name, unit, median, min, max }) => [name, String(median), unit, `${min} .. ${max}`]),
]);
if (options.json !== undefined)
  await writeFile(options.json, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);

async function measure(): Promise<void> {
  const directory = await mkdtemp(join(options.dir, "lograft-groups-"));
  const place = join(directory, "cluster");
  const settings = [`offsets.topic.num.partitions=${OFFSETS_PARTITIONS}`];
  const basePort = Number(options["base-port"]);
  const cluster = await startCluster({ directory: place, nodes: NODES, basePort, settings });
  try {
    await using client = new LograftClient({ brokers: cluster.addresses });
    await client.admin().createTopics([{ name: TOPIC, partitions: partitionCount, replicationFactor: 3 }]);
    const first = await coordinatorOf(cluster.addresses);
    const startedAt = performance.now();
    await commitAll(first.address);
    const seconds = (performance.now() - startedAt) / 1000;
    samples.commits.push((rounds * groups.length * partitionCount) / seconds);
    process.kill((await pidsOf(place))[first.nodeId - 1] ?? 0, "SIGKILL");
    const killedAt = performance.now();
    const next = await firstAnswer(cluster.addresses.filter((address) => address !== first.address));
    samples.outage.push(performance.now() - killedAt);
    for (const groupId of groups) {
      const offsets = await fetchAll(next, groupId);
      const isWhole = offsets?.length === partitionCount && offsets.every((offset) => offset === rounds);
      if (!isWhole) throw new Error(`${groupId} lacks offsets that it committed`);
    }
  } finally {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function coordinatorOf(
  addresses: readonly string[],
): Promise<{ readonly nodeId: number; readonly address: string }> {
  for (;;) {
    const request = { groupIds: groups.slice(0, 1) };
    const bounds = { timeoutMs: CALL_TIMEOUT_MS };
    const { coordinators } = await transport.call(addresses[0] ?? "", "FindCoordinator", request, bounds);
    const [found] = coordinators;
    const address = found?.errorCode === 0 ? `${found.host}:${found.port}` : undefined;
    if (
      found !== undefined &&
      address !== undefined &&
      (await fetchAll(address, groups[0] ?? "")) !== undefined
    )
      return { nodeId: found.nodeId, address };
    await pause();
  }
}

async function commitAll(address: string): Promise<void> {
  const total = rounds * groups.length;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < total; index = next++) {
      const offset = 1 + Math.floor(index / groups.length);
      const request = {
        groupId: groups[index % groups.length] ?? "",
        memberId: "",
        generationIdOrMemberEpoch: -1,
        offsets: Array.from({ length: partitionCount }, (_, partition) => ({
          topic: TOPIC,
          partition,
          offset,
          leaderEpoch: 0,
          metadata: "",
        })),
      };
      const answer = await transport.call(address, "CommitOffsets", request, { timeoutMs: CALL_TIMEOUT_MS });
      const refused = answer.results.find(({ errorCode }) => errorCode !== 0);
      if (refused !== undefined) throw new Error(`a commit was refused: ${refused.errorMessage}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** The one of these that answers first for the group. */
async function firstAnswer(addresses: readonly string[]): Promise<string> {
  for (;;) {
    for (const address of addresses) {
      if ((await fetchAll(address, groups[0] ?? "")) !== undefined) return address;
    }
    await pause();
  }
}

/** Undefined: this broker does not coordinate the group, or not yet. */
async function fetchAll(address: string, groupId: string): Promise<readonly number[] | undefined> {
  const request = { groupId, allPartitions: true, partitions: [] };
  const answer = await transport.call(address, "FetchOffsets", request, { timeoutMs: CALL_TIMEOUT_MS });
  return answer.errorCode === 0 ? answer.offsets.map(({ offset }) => Number(offset)) : undefined;
}

function groupsOfOnePartition(count: number): string[] {
  const names: string[] = [];
  for (let index = 0; names.length < count; index++) {
    const name = `bench-group-${index}`;
    if (groupPartition(name, OFFSETS_PARTITIONS) === 0) names.push(name);
  }
  return names;
}

async function pause(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ASK_MS);
  });
}
