import { readdirSync } from "node:fs";

import { writeFully } from "../../src/platform/disk.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import { corpusFile, corpusPath } from "./corpus.ts";

/** Where the directory made below lies on its disk. */
export const DIRECTORY = "/data/partition-0";

/** A simulated disk with these files in one partition directory. */
export async function diskWith(files: ReadonlyMap<string, Buffer>): Promise<SimDisk> {
  const clock = new SimClock({}, { scheduler: new Scheduler() });
  const disk = new SimDisk({}, { clock, random: new SeededRandom(1) });
  await disk.makeDir(DIRECTORY);
  for (const [name, content] of files) {
    const file = await disk.open(`${DIRECTORY}/${name}`, "create");
    await writeFully(file, [content], 0);
    await file.close();
  }
  return disk;
}

/** Copies of the files of one of Kafka's partition directories, to be changed. */
export function corpusDirectory(partition: string): Map<string, Buffer> {
  const names = readdirSync(corpusPath(partition));
  return new Map(names.map((name) => [name, Buffer.from(corpusFile(`${partition}/${name}`))]));
}
