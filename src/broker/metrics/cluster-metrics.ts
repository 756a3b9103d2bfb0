import { SUPPORTED_FEATURES } from "../../controller/features.ts";
import { settledReplicas } from "../../metadata/image.ts";
import type { MetadataImage, TopicImage } from "../../metadata/image.ts";
import type { NodeId } from "../../model/ids.ts";
import { NO_NODE } from "../../model/ids.ts";
import { requiredInSync } from "../../model/insync.ts";
import type { BrokerExposition } from "./broker-exposition.ts";

/** A broker's setting, where a topic has none of its own. */
export interface ClusterMetricsOptions {
  readonly nodeId: NodeId;
  readonly minInsyncReplicas: number;
}

/** What the committed metadata says of brokers, topics and partitions. One pass over all partitions. */
export function addClusterMetrics(
  to: BrokerExposition,
  image: MetadataImage,
  options: ClusterMetricsOptions,
): void {
  addBrokers(to, image);
  addFeatures(to, image);
  to.add("lograft_topics", {}, image.topicCount);
  const states = { online: 0, offline: 0, under_replicated: 0, under_min_isr: 0 };
  let leaders = 0;
  let replicas = 0;
  for (const topic of image.topics()) {
    const setting = minInsyncOf(topic, options.minInsyncReplicas);
    for (const partition of topic.partitions) {
      const wanted = settledReplicas(partition);
      if (partition.leader === NO_NODE) states.offline++;
      else states.online++;
      if (partition.isr.length < wanted) states.under_replicated++;
      if (partition.isr.length < requiredInSync(setting, wanted)) states.under_min_isr++;
      if (partition.leader === options.nodeId) leaders++;
      if (partition.replicas.includes(options.nodeId)) replicas++;
    }
  }
  for (const [state, count] of Object.entries(states)) to.add("lograft_partitions", { state }, count);
  to.add("lograft_leaders", {}, leaders);
  to.add("lograft_replicas", {}, replicas);
}

function addBrokers(to: BrokerExposition, image: MetadataImage): void {
  const brokers = [...image.brokers()];
  to.add("lograft_cluster_nodes", {}, brokers.length);
  to.add("lograft_cluster_nodes_fenced", {}, brokers.filter(({ isFenced }) => isFenced).length);
}

function addFeatures(to: BrokerExposition, image: MetadataImage): void {
  for (const feature of [...new Set([...image.features.keys(), ...SUPPORTED_FEATURES.keys()])].sort()) {
    const { min, max } = SUPPORTED_FEATURES.get(feature) ?? { min: 0, max: 0 };
    to.add("lograft_feature_level", { feature, kind: "finalized" }, image.features.get(feature) ?? 0);
    to.add("lograft_feature_level", { feature, kind: "min" }, min);
    to.add("lograft_feature_level", { feature, kind: "max" }, max);
  }
}

/** The text was checked when it was set; to type all settings of all topics for this one would cost each scrape. */
function minInsyncOf({ configs }: TopicImage, broker: number): number {
  const text = configs.get("min.insync.replicas");
  return text === undefined ? broker : Number(text);
}
