import { readFile } from "node:fs/promises";

/** What V8 writes for --cpu-prof, as far as it is used here. */
interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds from one sample to the next. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

/** Time in which one function, or one part of the program, was itself on top of the stack. */
export interface SelfTime {
  readonly name: string;
  readonly seconds: number;
  /** Of the time in which the process did something. */
  readonly share: number;
}

/** Where the main thread of a process was. */
export interface ProfileSummary {
  /** Of the whole time. */
  readonly busyShare: number;
  /** Largest first. */
  readonly parts: readonly SelfTime[];
  readonly functions: readonly SelfTime[];
}

/** Reads a .cpuprofile and adds up self times by part and by function. */
export async function summarizeProfile(file: string): Promise<ProfileSummary> {
  const { nodes, samples, timeDeltas } = JSON.parse(await readFile(file, "utf8")) as CpuProfile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  let total = 0;
  let idle = 0;
  for (const [index, id] of samples.entries()) {
    const seconds = Math.max(timeDeltas[index] ?? 0, 0) / 1e6;
    const node = byId.get(id);
    if (node === undefined) continue;
    total += seconds;
    if (node.callFrame.functionName === "(idle)") {
      idle += seconds;
      continue;
    }
    const part = partOf(node);
    parts.set(part, (parts.get(part) ?? 0) + seconds);
    const name = `${node.callFrame.functionName === "" ? "(anonymous)" : node.callFrame.functionName}, ${part}`;
    functions.set(name, (functions.get(name) ?? 0) + seconds);
  }
  const busy = total - idle;
  return {
    busyShare: total === 0 ? 0 : busy / total,
    parts: ranked(parts, busy),
    functions: ranked(functions, busy),
  };
}

function ranked(times: ReadonlyMap<string, number>, busy: number): readonly SelfTime[] {
  return Array.from(times, ([name, seconds]) => ({
    name,
    seconds,
    share: busy === 0 ? 0 : seconds / busy,
  })).sort((a, b) => b.seconds - a.seconds);
}

/** A folder of lograft, a package, or a part of Node.js. */
function partOf({ callFrame: { functionName, url } }: ProfileNode): string {
  if (functionName === "(garbage collector)") return "V8: garbage collector";
  if (functionName === "(program)") return "Node.js: native code of the loop";
  const own =
    /\/(?:dist|src)\/([\w-]+)(?:\/([\w-]+))?[^/]*$/.exec(url) ?? /\/(?:dist|src)\/([\w-]+)\//.exec(url);
  if (own !== null && !url.includes("node_modules")) return `lograft: ${own[1]}`;
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url);
  if (inPackage !== null) return `package: ${inPackage[1]}`;
  if (url.startsWith("node:"))
    return `Node.js: ${
      url
        .slice("node:".length)
        .replace(/^internal\//, "")
        .split("/")[0]
    }`;
  return url === "" ? "Node.js: native functions" : url;
}
