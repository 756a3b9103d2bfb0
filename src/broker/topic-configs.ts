import { DEFAULT_UNSAVED_SEGMENT_BYTES } from "../log/log-config.ts";
import type { LogConfig } from "../log/log-config.ts";
import type { TopicImage } from "../metadata/image.ts";
import { effectiveTopicConfig, parseTopicConfig } from "../model/configs.ts";
import type { BrokerConfig, TopicConfig, TopicOverrides } from "../model/configs.ts";

/** What was set for a topic alone, typed. Keys that this release does not know are left out: an older or newer one set them. */
export function overridesOf(topic: TopicImage): TopicOverrides {
  if (topic.configs.size === 0) return {};
  const parsed = parseTopicConfig(topic.configs);
  if (parsed.ok) return parsed.overrides;
  const refused = new Set(parsed.errors.map(({ key }) => key));
  const rest = parseTopicConfig(new Map([...topic.configs].filter(([key]) => !refused.has(key))));
  return rest.ok ? rest.overrides : {};
}

/** What holds for a topic. */
export function topicConfigOf(topic: TopicImage, broker: BrokerConfig): TopicConfig {
  return effectiveTopicConfig(broker, overridesOf(topic));
}

/** The part of it that the log goes by. */
export function logConfigOf(config: TopicConfig, broker: BrokerConfig): LogConfig {
  return {
    segmentBytes: config.segmentBytes,
    segmentMs: config.segmentMs,
    segmentIndexBytes: broker.logIndexSizeMaxBytes,
    unsavedSegmentBytes: DEFAULT_UNSAVED_SEGMENT_BYTES,
    indexIntervalBytes: config.indexIntervalBytes,
    maxMessageBytes: config.maxMessageBytes,
    timestampType: config.messageTimestampType,
    timestampBeforeMaxMs: config.messageTimestampBeforeMaxMs,
    timestampAfterMaxMs: config.messageTimestampAfterMaxMs,
    retentionMs: config.retentionMs,
    retentionBytes: config.retentionBytes,
    isDeleting: config.cleanupPolicy.includes("delete"),
    isCompacting: config.cleanupPolicy.includes("compact"),
    minCleanableDirtyRatio: config.minCleanableDirtyRatio,
    minCompactionLagMs: config.minCompactionLagMs,
    maxCompactionLagMs: config.maxCompactionLagMs,
    deleteRetentionMs: config.deleteRetentionMs,
    fileDeleteDelayMs: config.fileDeleteDelayMs,
    flushPolicy: config.flushPolicy,
    flushMs: config.flushMs,
  };
}
