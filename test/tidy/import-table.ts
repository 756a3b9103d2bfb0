/** What the files of one folder may import. */
export interface FolderRule {
  /** Folders of src besides the own one. */
  readonly folders: readonly string[];
  /** Node modules, without "node:"; "any" for the edges of the process. */
  readonly node: readonly string[] | "any";
  /** Packages; a name that ends in "/" stands for a scope. */
  readonly packages: readonly string[];
}

/** A single import that a folder's rule refuses and we allow, with the reason. */
export interface ImportException {
  readonly file: string;
  /** A specifier as written ("node:zlib", "zod"), or a folder of src. */
  readonly imports: string;
  readonly reason: string;
}

const foundation = ["model", "base"];
const grpc = ["@grpc/", "protobufjs"];

/**
 * The layers, bottom up: who may import whom (type imports count). The longest folder name that fits a file counts, so
 * "platform/node" is a folder of its own. A folder that is not named here may not exist.
 */
export const folderRules: Readonly<Record<string, FolderRule>> = {
  base: { folders: [], node: [], packages: [] },
  model: { folders: ["base"], node: [], packages: [] },
  platform: { folders: ["base"], node: [], packages: [] },
  "platform/node": { folders: ["platform", "base"], node: "any", packages: ["level", "pino"] },
  raft: { folders: foundation, node: [], packages: [] },
  metadata: { folders: foundation, node: [], packages: [] },
  history: { folders: foundation, node: [], packages: [] },
  log: { folders: ["platform", ...foundation], node: [], packages: [] },
  quorum: { folders: ["raft", "platform", ...foundation], node: [], packages: [] },
  replication: { folders: ["log", "metadata", "platform", ...foundation], node: [], packages: [] },
  coordinator: { folders: ["metadata", "platform", ...foundation], node: [], packages: [] },
  controller: { folders: ["quorum", "metadata", "platform", ...foundation], node: [], packages: [] },
  broker: {
    folders: [
      "controller",
      "coordinator",
      "replication",
      "quorum",
      "log",
      "metadata",
      "platform",
      ...foundation,
    ],
    node: [],
    packages: [],
  },
  rpc: { folders: ["platform", ...foundation], node: ["http2", "net", "path", "tls", "url"], packages: grpc },
  peer: { folders: ["rpc", "platform", ...foundation], node: [], packages: grpc },
  server: {
    folders: ["broker", "rpc", "metadata", "platform", ...foundation],
    node: ["http", "http2", "net", "tls"],
    packages: [],
  },
  "server/http": {
    folders: ["server", "broker", "platform", ...foundation],
    node: ["http", "net"],
    packages: ["hono", "@hono/"],
  },
  "server/grpc": {
    folders: ["server", "broker", "rpc", "metadata", "platform", ...foundation],
    node: ["http2", "net"],
    packages: [...grpc, "grpc-health-check"],
  },
  client: { folders: ["rpc", "platform", ...foundation], node: [], packages: [] },
  opentelemetry: { folders: ["client"], node: [], packages: ["@opentelemetry/"] },
  chaos: {
    folders: ["client", "history", "log", "rpc", "platform", "platform/node", ...foundation],
    node: "any",
    packages: [],
  },
  cli: {
    folders: ["chaos", "client", "history", ...foundation],
    node: "any",
    packages: ["commander", "cli-table3", "cli-progress", "yaml"],
  },
  sim: {
    folders: [
      "server/grpc",
      "broker",
      "controller",
      "coordinator",
      "replication",
      "quorum",
      "raft",
      "log",
      "metadata",
      "history",
      "client",
      "rpc",
      "platform",
      ...foundation,
    ],
    node: [],
    packages: [],
  },
};

/** Files right under src/: they compose the rest and may import anything. Nothing below imports them. */
export const entryFiles: readonly string[] = ["node.ts", "main.ts", "index.ts", "testing.ts"];

/** Files that something outside src/ starts or imports; every other file needs an importer. */
export const entryPoints: readonly string[] = [
  ...entryFiles,
  "chaos/member-main.ts",
  "chaos/slow-sync-preload.ts",
  "cli/main.ts",
  "client/index.ts",
  "opentelemetry/index.ts",
  "sim/broker-campaign.ts",
  "sim/campaign.ts",
  "sim/group-campaign.ts",
];

/** Interfaces that a lower folder declares for a higher one; the folders that carry the wire may implement them. */
export const portFiles: readonly string[] = [
  "quorum/raft-transport.ts",
  "replication/leader-endpoint.ts",
  "replication/isr-updates.ts",
  "coordinator/transaction/marker-channel.ts",
  "broker/controller-channel.ts",
];

/** The folders whose files may import the ports. */
export const portUsers: readonly string[] = ["peer"];

export const importExceptions: readonly ImportException[] = [
  {
    file: "base/crc32c.ts",
    imports: "node:module",
    reason: "createRequire finds the optional native CRC at run time; the fallback is our own code",
  },
  { file: "model/compression.ts", imports: "node:zlib", reason: "gzip and zstd are built into Node" },
  {
    file: "model/compression.ts",
    imports: "@platformatic/wasm-utils",
    reason: "lz4 and snappy, as WebAssembly",
  },
  {
    file: "model/config-values.ts",
    imports: "zod",
    reason: "one schema gives a key's validation, its help text and its documentation",
  },
  ...["cli/log-dump.ts", "cli/log-dump-printer.ts", "cli/log-verify.ts"].map((file) => ({
    file,
    imports: "log",
    reason: "the offline commands read the files of a stopped broker, and no broker answers for it",
  })),
  ...["cli/log-dump.ts", "cli/log-verify.ts", "cli/counting-disk.ts"].map((file) => ({
    file,
    imports: "platform",
    reason: "the offline commands take the disk as a port, so that a test can give another",
  })),
  {
    file: "client/client.ts",
    imports: "platform/node",
    reason: "the defaults of a client that is given no clock and no random",
  },
  { file: "cli/main.ts", imports: "platform/node", reason: "tells V8 what a process of buffers needs" },
  ...["platform", "platform/node"].map((imports) => ({
    file: "cli/doctor/machine.ts",
    imports,
    reason: "tells of this very machine, as a broker on it tells of its own",
  })),
  {
    file: "cli/commands/log.ts",
    imports: "platform/node",
    reason: "binds the offline commands to the files of this machine",
  },
  {
    file: "cli/commands/start.ts",
    imports: "../../main.ts",
    reason: "the one command that is the daemon; imported only when it runs",
  },
];
