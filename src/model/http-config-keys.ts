import { configKey, optionalConfigKey } from "./config-key.ts";
import { booleanValue, integerValue, textValue } from "./config-values.ts";

const MAX_HOST_LENGTH = 253;

/** The keys of the HTTP port and of what it tells, by their property in the typed configuration. */
export const HTTP_CONFIG_KEYS = {
  httpPort: optionalConfigKey(
    "http.port",
    integerValue({ min: 0, max: 65_535 }),
    "Port of /livez, /startupz, /readyz, /healthz, /metrics and /metrics/kafka, for probes and Prometheus; 8080 is what deploy/ uses. 0 takes a free one. Without it there is none. Who can reach it can read the names of topics and groups.",
    { since: "0.5.0" },
  ),
  httpHost: optionalConfigKey(
    "http.host",
    textValue("a host name or an address of this machine", MAX_HOST_LENGTH, /^[a-zA-Z0-9._:-]+$/),
    "Address that http.port is listened on. Without it: all interfaces.",
    { since: "0.5.0" },
  ),
  metricsPartitionLevel: configKey(
    "metrics.partition.level",
    booleanValue(),
    "false",
    "Whether /metrics has series for each partition and not only for each topic. Thousands of partitions make thousands of series, in each scrape. /metrics/kafka always has them.",
    { since: "0.5.0" },
  ),
} as const;
