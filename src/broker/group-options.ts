import type { CoordinatorSabotage } from "../coordinator/coordinator-sabotage.ts";
import type { GroupOptions } from "../coordinator/group/group.ts";
import type { BrokerConfig } from "../model/configs.ts";
import type { Random } from "../platform/random.ts";

const MAX_GROUPS = 20_000;
const MAX_MEMBER_BYTES = 256 * 1024;
const ID_BYTES = 16;

/** The bounds and times of groups, from the configuration. */
export function groupOptionsOf(
  config: BrokerConfig,
  random: Random,
  sabotage: CoordinatorSabotage | undefined,
): GroupOptions {
  return {
    sabotage,
    minSessionTimeoutMs: config.groupMinSessionTimeoutMs,
    maxSessionTimeoutMs: config.groupMaxSessionTimeoutMs,
    initialRebalanceDelayMs: config.groupInitialRebalanceDelayMs,
    consumerSessionTimeoutMs: config.groupConsumerSessionTimeoutMs,
    consumerHeartbeatIntervalMs: config.groupConsumerHeartbeatIntervalMs,
    reconnectGraceMs: config.groupConsumerReconnectGraceMs,
    maxSize: config.groupMaxSize,
    maxGroups: MAX_GROUPS,
    maxMemberBytes: MAX_MEMBER_BYTES,
    offsetMetadataMaxBytes: config.offsetMetadataMaxBytes,
    offsetsRetentionMs: config.offsetsRetentionMinutes * 60_000,
    newId: () => Buffer.from(random.bytes(ID_BYTES)).toString("base64url"),
  };
}
