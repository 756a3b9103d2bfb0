import { operationError } from "../base/errors.ts";

/*
 * `meta.properties`, in the root of a data directory: whose data this is. Kafka's format and names, key=value lines.
 *
 *   version=1  node.id  cluster.id  directory.id
 *
 * Written once, atomically, before anything else; after that a directory without it is damaged, not new.
 */

/** The version this build reads and writes. */
export const META_VERSION = 1;
export const META_FILE = "meta.properties";

/** Whose data directory it is. */
export interface DirectoryMeta {
  readonly nodeId: number;
  /** Undefined until the broker has joined a cluster. */
  readonly clusterId: string | undefined;
  /** Random, made with the directory: tells a restored or copied one from the original (H16, H26). */
  readonly directoryId: string;
}

/** The file's text. */
export function formatMeta(meta: DirectoryMeta): string {
  const lines = [`version=${META_VERSION}`, `node.id=${meta.nodeId}`, `directory.id=${meta.directoryId}`];
  if (meta.clusterId !== undefined) lines.push(`cluster.id=${meta.clusterId}`);
  return `${lines.join("\n")}\n`;
}

/** @throws LograftError DATA_DIR_VERSION for another version, METADATA_CORRUPT for anything it cannot read. */
export function parseMeta(text: string, path: string): DirectoryMeta {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const separator = line.indexOf("=");
    if (separator > 0 && !line.startsWith("#"))
      fields.set(line.slice(0, separator).trim(), line.slice(separator + 1).trim());
  }
  const version = Number(fields.get("version"));
  if (Number.isInteger(version) && version !== META_VERSION) {
    const step =
      version > META_VERSION
        ? "start the release that wrote it, or a newer one"
        : "let a release that reads it rewrite it first";
    throw operationError(
      "DATA_DIR_VERSION",
      `${path} has format version ${version}, this release supports version ${META_VERSION}; ${step}`,
      { context: { path, found: version, supported: META_VERSION } },
    );
  }
  const nodeId = Number(fields.get("node.id") ?? Number.NaN);
  const directoryId = fields.get("directory.id");
  if (version !== META_VERSION || !Number.isInteger(nodeId) || nodeId < 0 || !directoryId) {
    throw operationError("METADATA_CORRUPT", `${path} is damaged; restore it, nothing here was touched`, {
      context: { path },
    });
  }
  return { nodeId, directoryId, clusterId: fields.get("cluster.id") };
}
