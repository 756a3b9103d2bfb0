import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LograftClient } from "lograft/client";
import { summarizeProfile } from "./cpu-profile.ts";
import { printTable } from "./figures.ts";
import { pidsOf, runCli, startCluster } from "./processes.ts";

/*
 * npm run bench -- profile: where the leader, a follower and the SDK spend their time while one producer writes 1 KiB records
 * to one partition of three replicas with acks=all, by V8's sampling profiler. Two loads: as fast as it goes, and 5,000
 * records/s without linger. Prints self times by part of the program and the first functions; --keep DIR keeps the
 * .cpuprofile files, which Chrome's DevTools and speedscope draw as flame graphs. The profiler costs some speed itself.
 *
 *   --seconds N (8)  --functions N (12)  --base-port P (19092)  --keep DIR
 */
const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "8" },
    functions: { type: "string", default: "12" },
    "base-port": { type: "string", default: "19092" },
    keep: { type: "string" },
  },
});
const TOPIC = "bench";
const LOADS: Readonly<Record<string, readonly string[]>> = {
  throughput: [],
  "5k": ["--rate", "5000", "--linger", "0ms"],
};

for (const [load, args] of Object.entries(LOADS)) await profile(load, args);

async function profile(load: string, args: readonly string[]): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "lograft-profile-"));
  const folder = options.keep === undefined ? join(scratch, "profiles") : join(options.keep, load);
  await mkdir(folder, { recursive: true });
  // Every process that is started from here on writes one at its end.
  process.env["NODE_OPTIONS"] = `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${folder}`;
  const place = join(scratch, "cluster");
  const settings = ["flush.policy=os", "min.insync.replicas=2"];
  const cluster = await startCluster({ directory: place, nodes: 3, basePort: Number(options["base-port"]) });
  let pids: readonly number[] = [];
  let leader = 0;
  let before: readonly string[] = [];
  try {
    const bootstrap = cluster.addresses.join(",");
    pids = await pidsOf(place);
    const shape = ["-p", "1", "-r", "3", ...settings.flatMap((text) => ["-c", text])];
    await runCli(["topic", "create", TOPIC, ...shape, "-b", bootstrap]);
    leader = await leaderOf(bootstrap);
    before = await readdir(folder);
    const command = ["bench", "produce", TOPIC, "--acks", "all", "--record-size", "1024", "-b", bootstrap];
    await runCli([...command, ...args, "--warmup", "1s", "--duration", `${options.seconds}s`]);
  } finally {
    const sdk = (await readdir(folder)).filter((file) => !before.includes(file));
    await cluster.stop();
    delete process.env["NODE_OPTIONS"];
    const files = await readdir(folder);
    const ofPid = (pid: number | undefined): string | undefined =>
      files.find((file) => file.split(".").includes(String(pid)));
    const follower = pids.findIndex((_, index) => index !== leader - 1);
    await report(`${load}: the leader`, folder, ofPid(pids[leader - 1]));
    await report(`${load}: a follower`, folder, ofPid(pids[follower]));
    await report(`${load}: the SDK`, folder, sdk[0]);
    await rm(scratch, { recursive: true, force: true });
  }
}

async function leaderOf(bootstrap: string): Promise<number> {
  await using client = new LograftClient({ brokers: bootstrap.split(",") });
  const [topic] = await client.admin().describeTopics([TOPIC]);
  return topic?.partitions[0]?.leaderId ?? 1;
}

async function report(title: string, folder: string, file: string | undefined): Promise<void> {
  if (file === undefined) throw new Error(`${title}: the process has left no profile in ${folder}`);
  const { busyShare, parts, functions } = await summarizeProfile(join(folder, file));
  process.stdout.write(`\n${title}, busy for ${(100 * busyShare).toFixed(0)} % of the time\n`);
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  printTable([
    ["part", "of the busy time"],
    ...parts.filter(({ share }) => share >= 0.01).map(({ name, share }) => [name, percent(share)]),
  ]);
  printTable([
    ["function", "of the busy time"],
    ...functions.slice(0, Number(options.functions)).map(({ name, share }) => [name, percent(share)]),
  ]);
}
