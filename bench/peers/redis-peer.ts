import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { buildGoClient } from "./go-client.ts";
import { installBy } from "./install.ts";
import type { Peer } from "./peer.ts";

const LACKS: Readonly<Record<string, string>> = {
  "consume.cold": "it holds all data in memory",
  "failover.gap": "no failover by itself (Sentinel is another system)",
};

/** Redis Streams of the machine's packages: one primary, its replicas, an append-only file synced each second. */
export const redisPeer: Peer = {
  name: "redis",
  install: async (cache) => {
    const version = await versionOf().catch(async () => {
      await installBy({ command: "apt-get", args: ["install", "--yes", "redis-server"], env: QUIET });
      return versionOf();
    });
    const client = await buildGoClient(cache);
    return {
      version,
      lacks: (row) => {
        if (row.endsWith("-partitions"))
          return "a stream has no partitions, and all commands run on one thread";
        return LACKS[row];
      },
      client: (servers) => ({ command: client, args: ["redis", ...servers] }),
      prepare: async (directory, nodes) => {
        const ports = await freePorts(nodes);
        const programs = await Promise.all(
          ports.map(async (port, node) => {
            const data = join(directory, `data-${node + 1}`);
            await mkdir(data);
            const place = ["--bind", "127.0.0.1", "--port", String(port), "--dir", data, "--save", ""];
            const durability = ["--appendonly", "yes", "--appendfsync", "everysec"];
            // The replicas copy nothing yet: without this they would wait five seconds for others to copy with.
            const replication = ["--repl-diskless-sync-delay", "0"];
            if (node > 0) replication.push("--replicaof", "127.0.0.1", String(ports[0]));
            return { command: "redis-server", args: [...place, ...durability, ...replication] };
          }),
        );
        return { servers: ports.map((port) => `127.0.0.1:${port}`), programs };
      },
    };
  },
};

const QUIET = { DEBIAN_FRONTEND: "noninteractive" };

async function versionOf(): Promise<string> {
  const text = await installBy({ command: "redis-server", args: ["--version"] });
  return /v=([\d.]+)/.exec(text)?.[1] ?? text.trim();
}
