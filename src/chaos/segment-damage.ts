import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseSegmentFileName, partitionDirName } from "../log/file-names.ts";
import type { FaultKind, Planner, Strike } from "./fault.ts";
import type { Key } from "./keys.ts";
import { replicaDigest } from "./replica-digests.ts";
import type { Scene } from "./scene.ts";

const MAX_FLIPS = 8;
/** To find the damage, cut the log there and copy it again. */
const REPAIR_TIMEOUT_MS = 60_000;

export type SegmentFault = Extract<FaultKind, "corrupt-segment">;

/** A segment file that nothing is appended to any more. */
interface SealedSegment {
  readonly key: Key;
  readonly path: string;
  readonly sizeBytes: number;
  /** Exclusive: the first offset of the segment after it. */
  readonly endOffset: number;
}

/** Flips bits of one replica of one partition, of which the others have every record. */
export function segmentFaults(scene: Scene): Readonly<Record<SegmentFault, Planner>> {
  let count = 0;
  let isAllRepaired = true;
  const plan = (): Strike => {
    const node = scene.any(scene.cluster.nodeIds);
    // In turns: found by a broker that runs, and by one that starts on it.
    const isStopped = count++ % 2 === 1;
    const run = async (): Promise<string> => {
      // Two damaged replicas of one record are more than three can bear: only a whole cluster is hit.
      if (!isAllRepaired || !(await scene.isWholeInTime())) return "";
      const { text, isRepaired } = await damage(scene, node, isStopped);
      isAllRepaired = isRepaired;
      return text;
    };
    return { nodes: [node], run };
  };
  return { "corrupt-segment": plan };
}

async function damage(
  scene: Scene,
  node: number,
  isStopped: boolean,
): Promise<{ readonly text: string; readonly isRepaired: boolean }> {
  const { cluster, observer, options } = scene;
  const sealed: SealedSegment[] = [];
  for (const key of options.table.keys) {
    sealed.push(...(await sealedSegments(cluster.dataDirectoryOf(node), key)));
  }
  if (sealed.length === 0) return { text: "", isRepaired: true };
  const segment = scene.any(sealed);
  const { key } = segment;
  const digest = async (nodeId: number): Promise<string | undefined> => {
    const directory = cluster.dataDirectoryOf(nodeId);
    const what = { dataDirectory: directory, node: nodeId, key, end: segment.endOffset };
    // A broker that cuts its log removes segments while they are looked at.
    const line = await replicaDigest(what).catch(() => undefined);
    return line?.digest;
  };
  const good = await digest(node);
  if (good === undefined) return { text: "", isRepaired: true };
  if (isStopped) {
    observer.expectDown(node);
    await cluster.broker(node).stop();
  }
  const flips = 1 + scene.random.below(MAX_FLIPS);
  await flipBits(segment, flips, scene);
  if (isStopped) {
    await cluster.start(node);
    observer.expectUp(node);
  }
  const since = performance.now();
  const isRepaired = await scene.until(
    async () => (await digest(node)) === good && observer.isWhole,
    REPAIR_TIMEOUT_MS,
  );
  const state = isStopped ? "stopped" : "running";
  const after = `${((performance.now() - since) / 1000).toFixed(1)} s`;
  const outcome = isRepaired ? `the same again after ${after}` : `NOT the same again after ${after}`;
  return { text: `${flips} bits flipped in ${segment.path} of the ${state} broker, ${outcome}`, isRepaired };
}

/** All segments of a replica but the last. */
async function sealedSegments(dataDirectory: string, key: Key): Promise<SealedSegment[]> {
  const directory = join(dataDirectory, partitionDirName(key));
  const segments: { readonly path: string; readonly baseOffset: number }[] = [];
  const names: readonly string[] = await readdir(directory).catch(() => []);
  for (const name of names.toSorted()) {
    const parsed = parseSegmentFileName(name);
    if (parsed?.kind === "log") segments.push({ path: join(directory, name), baseOffset: parsed.baseOffset });
  }
  const sealed: SealedSegment[] = [];
  for (const [index, { path }] of segments.entries()) {
    const next = segments[index + 1];
    if (next === undefined) break;
    const { size } = await stat(path);
    if (size > 0) sealed.push({ key, path, sizeBytes: size, endOffset: next.baseOffset });
  }
  return sealed;
}

async function flipBits({ path, sizeBytes }: SealedSegment, flips: number, scene: Scene): Promise<void> {
  await using file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  const positions = new Set<number>();
  while (positions.size < Math.min(flips, sizeBytes)) positions.add(scene.random.below(sizeBytes));
  for (const position of positions) {
    await file.read(byte, 0, 1, position);
    byte[0] = (byte[0] ?? 0) ^ (1 << scene.random.below(8));
    await file.write(byte, 0, 1, position);
  }
  await file.sync();
}
