import type { MetadataImage } from "../metadata/image.ts";
import {
  LISTENERS_LEVEL,
  METADATA_VERSION,
  METADATA_VERSIONS,
  metadataVersionOf,
  MOVEMENT_LEVEL,
} from "../metadata/metadata-version.ts";
import type { FeatureRange, MetadataRecord } from "../metadata/records.ts";
import { failure, SUCCESS } from "./result.ts";
import type { Decision, ItemOutcome } from "./result.ts";

/** What this release can work with: each broker says so when it registers. */
export const SUPPORTED_FEATURES: ReadonlyMap<string, FeatureRange> = new Map([
  /** The records of the metadata log and what they mean. */
  [METADATA_VERSION, METADATA_VERSIONS],
  /** The entries and messages of the metadata quorum; 1: voters are in the log (KIP-853). */
  ["raft.version", { min: 1, max: 1 }],
]);

/** The levels a new cluster begins with, once; nothing when it has any. */
export function decideBootstrap(
  image: MetadataImage,
  supported: ReadonlyMap<string, FeatureRange> = SUPPORTED_FEATURES,
): Decision<undefined> {
  if (image.features.size > 0) return { records: [], response: undefined };
  const records = Array.from(supported, ([name, { max }]): MetadataRecord => ({
    type: "FeatureLevel",
    name,
    level: max,
  }));
  return { records, response: undefined };
}

/** Why a broker that supports these ranges cannot be in this cluster, or undefined when it can. */
export function featureRefusal(
  image: MetadataImage,
  features: ReadonlyMap<string, FeatureRange>,
): ItemOutcome | undefined {
  for (const [name, level] of image.features) {
    const range = features.get(name);
    if (isWithin(level, range)) continue;
    const able = range === undefined ? "does not know it" : `supports ${range.min} to ${range.max}`;
    return failure(
      "UNSUPPORTED_VERSION",
      `this cluster works with ${name} ${level} and the broker ${able}; install a release that supports it`,
    );
  }
  return undefined;
}

/** Why nothing can move or be drained in this cluster yet, or undefined when it can. `what` begins the sentence. */
export function movementRefusal(image: MetadataImage, what: string): ItemOutcome | undefined {
  return levelRefusal(image, what, MOVEMENT_LEVEL);
}

/** Why no broker of this cluster can have several listeners for clients yet, or undefined when it can. */
export function listenersRefusal(image: MetadataImage): ItemOutcome | undefined {
  return levelRefusal(image, "a broker can have several listeners for clients", LISTENERS_LEVEL);
}

function levelRefusal(image: MetadataImage, what: string, needed: number): ItemOutcome | undefined {
  const level = metadataVersionOf(image);
  if (level >= needed) return undefined;
  return failure(
    "UNSUPPORTED_VERSION",
    `${what} from ${METADATA_VERSION} ${needed} on, and this cluster works with ${level}; once every broker runs ` +
      `a release that supports it, raise it: lograft features upgrade --feature ${METADATA_VERSION}=${needed}`,
  );
}

export interface UpdateFeatureCommand {
  readonly name: string;
  readonly level: number;
  /** Answer as if, and log nothing. */
  readonly isDryRun: boolean;
}

export interface UpdateFeatureResult extends ItemOutcome {
  readonly name: string;
  /** What holds after it; 0: the cluster does not use it. */
  readonly level: number;
}

/** Raises a feature's level, once every registered broker can work with it; those that are down will come back. */
export function decideUpdateFeature(
  image: MetadataImage,
  command: UpdateFeatureCommand,
  supported: ReadonlyMap<string, FeatureRange> = SUPPORTED_FEATURES,
): Decision<UpdateFeatureResult> {
  const { name, level, isDryRun } = command;
  const current = image.features.get(name) ?? 0;
  const refusal = updateRefusal(image, command, current, supported);
  if (refusal !== undefined) return { records: [], response: { name, level: current, ...refusal } };
  const isNothing = isDryRun || level === current;
  const records: MetadataRecord[] = isNothing ? [] : [{ type: "FeatureLevel", name, level }];
  return { records, response: { name, level, ...SUCCESS } };
}

function updateRefusal(
  image: MetadataImage,
  { name, level }: UpdateFeatureCommand,
  current: number,
  supported: ReadonlyMap<string, FeatureRange>,
): ItemOutcome | undefined {
  const range = supported.get(name);
  if (range === undefined) {
    const known = [...supported.keys()].join(", ");
    return failure("INVALID_UPDATE_VERSION", `there is no feature ${JSON.stringify(name)}; choose ${known}`);
  }
  if (!Number.isInteger(level) || !isWithin(level, range)) {
    return failure(
      "INVALID_UPDATE_VERSION",
      `${name} cannot be ${level}; the controller supports ${range.min} to ${range.max}`,
    );
  }
  if (level < current) {
    return failure(
      "INVALID_UPDATE_VERSION",
      `${name} is ${current} and can only be raised; ${level} is lower`,
    );
  }
  const unable = Array.from(image.brokers())
    .filter(({ features }) => !isWithin(level, features.get(name)))
    .map(({ nodeId }) => nodeId)
    .sort((a, b) => a - b);
  if (unable.length === 0) return undefined;
  return failure(
    "FEATURE_UPDATE_FAILED",
    `${name} cannot become ${level}: ${unable.length === 1 ? "broker" : "brokers"} ${unable.join(", ")} cannot work ` +
      "with it; update them, or unregister those that are gone for good",
  );
}

function isWithin(level: number, range: FeatureRange | undefined): boolean {
  return range !== undefined && level >= range.min && level <= range.max;
}
