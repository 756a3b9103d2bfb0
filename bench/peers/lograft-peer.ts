import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OWN_NAME } from "./comparison.ts";
import { freePorts } from "./free-ports.ts";
import type { Peer } from "./peer.ts";

const CLI = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const CLIENT = fileURLToPath(new URL("lograft-client.ts", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../../package.json", import.meta.url));

/** This very tree, started as its users start it: three brokers that vote on their metadata too. */
export const lograftPeer: Peer = {
  name: OWN_NAME,
  install: async () => {
    const { version } = JSON.parse(await readFile(PACKAGE, "utf8")) as { readonly version: string };
    return {
      version,
      lacks: () => undefined,
      client: (servers) => ({ command: process.execPath, args: [CLIENT, ...servers] }),
      prepare: async (directory, nodes) => {
        const ports = await freePorts(2 * nodes);
        const clientPort = (node: number): number => ports[node] ?? 0;
        const peerPort = (node: number): number => ports[nodes + node] ?? 0;
        const all = Array.from({ length: nodes }, (_, node) => node);
        const voters = all.map((node) => `${node + 1}@127.0.0.1:${peerPort(node)}`).join(",");
        const programs = all.map((node) => {
          const settings = [
            `listeners=CLIENT://127.0.0.1:${clientPort(node)},PEER://127.0.0.1:${peerPort(node)}`,
            `controller.quorum.voters=${voters}`,
            "log.flush.policy=os",
          ].flatMap((text) => ["--set", text]);
          const place = ["--node-id", String(node + 1), "--data-dir", join(directory, `data-${node + 1}`)];
          return {
            command: process.execPath,
            args: [CLI, "start", "--json", "--log-level", "warn", ...place, ...settings],
          };
        });
        return { servers: all.map((node) => `127.0.0.1:${clientPort(node)}`), programs };
      },
    };
  },
};
