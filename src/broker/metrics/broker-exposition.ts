import type { Exposition } from "../../model/exposition.ts";
import type { KAFKA_METRICS, METRICS } from "../../model/metric-table.ts";

/** Where the metrics of `/metrics` are gathered. */
export type BrokerExposition = Exposition<typeof METRICS>;

/** Where the metrics of `/metrics/kafka` are gathered. */
export type KafkaExposition = Exposition<typeof KAFKA_METRICS>;
