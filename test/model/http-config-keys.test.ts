import { expect, test } from "vitest";
import { parseBrokerConfig } from "../../src/model/configs.ts";

test("without http.port there is no HTTP port, and metrics are by topic", () => {
  const parsed = parseBrokerConfig({});
  expect(parsed).toMatchObject({ config: { metricsPartitionLevel: false } });
  expect(parsed.ok && [parsed.config.httpPort, parsed.config.httpHost]).toEqual([undefined, undefined]);
});

test("a port and a host are taken, and what is none is refused by name", () => {
  const given = { "http.port": "8080", "http.host": "::1", "metrics.partition.level": "true" };
  expect(parseBrokerConfig(given)).toMatchObject({
    config: { httpPort: 8080, httpHost: "::1", metricsPartitionLevel: true },
  });
  const refused = parseBrokerConfig({ "http.port": "65536", "http.host": "a b" });
  expect(refused.ok ? [] : refused.errors.map(({ key }) => key)).toEqual(["http.port", "http.host"]);
});
