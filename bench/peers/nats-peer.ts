import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { buildGoClient } from "./go-client.ts";
import { installBy, onceInstalled } from "./install.ts";
import type { Peer } from "./peer.ts";

const VERSION = "2.15.2";

/** NATS JetStream: three servers, a stream for each partition, in files and with three replicas. */
export const natsPeer: Peer = {
  name: "nats",
  install: async (cache) => {
    const place = join(cache, `nats-${VERSION}`);
    await onceInstalled(place, async (temporary) => {
      const args = ["install", `github.com/nats-io/nats-server/v2@v${VERSION}`];
      await installBy({ command: "go", args, env: { GOBIN: temporary } });
    });
    const client = await buildGoClient(cache);
    const server = join(place, "nats-server");
    return {
      version: VERSION,
      lacks: (row) => {
        const isMany = row.endsWith("-partitions");
        return isMany ? "a stream has no partitions, and so many streams are not its use" : undefined;
      },
      client: (servers) => ({ command: client, args: ["nats", ...servers] }),
      prepare: async (directory, nodes) => {
        const ports = await freePorts(2 * nodes);
        const all = Array.from({ length: nodes }, (_, node) => node);
        const routes = all.map((node) => `nats-route://127.0.0.1:${ports[nodes + node]}`).join(", ");
        const programs = await Promise.all(
          all.map(async (node) => {
            const file = join(directory, `server-${node + 1}.conf`);
            // Its defaults: it syncs its files every two minutes, so that an answer promises the page cache.
            const lines = [
              `server_name: n${node + 1}`,
              `listen: "127.0.0.1:${ports[node]}"`,
              `jetstream { store_dir: "${join(directory, `data-${node + 1}`)}" }`,
            ];
            const cluster = `cluster { name: bench, listen: "127.0.0.1:${ports[nodes + node]}", routes: [${routes}] }`;
            if (nodes > 1) lines.push(cluster);
            await writeFile(file, `${lines.join("\n")}\n`);
            return { command: server, args: ["-c", file] };
          }),
        );
        return { servers: all.map((node) => `127.0.0.1:${ports[node]}`), programs };
      },
    };
  },
};
