import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseBrokerConfig } from "../../src/model/configs.ts";
import { readDeployFile, readYamlFile, ROOT, settingsOf } from "./deploy-files.ts";

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly init?: boolean;
  readonly read_only?: boolean;
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly mem_limit?: string;
  readonly hostname?: string;
  readonly profiles?: readonly string[];
  readonly depends_on?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly entrypoint?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly interval?: string };
}

const compose = readYamlFile("docker-compose.yml") as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const text = readDeployFile("docker-compose.yml");

function service(name: string): Service {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

const BROKERS = [
  { name: "lograft-1", id: "1", outside: 19_092, http: 8080 },
  { name: "lograft-2", id: "2", outside: 29_092, http: 8081 },
  { name: "lograft-3", id: "3", outside: 39_092, http: 8082 },
] as const;

test("what starts without a profile is the three brokers", () => {
  const bare = Object.keys(compose.services).filter((name) => service(name).profiles === undefined);
  expect(bare).toEqual(BROKERS.map(({ name }) => name));
});

test("both generations of Compose read it: no version line, no key that only one of them knows", () => {
  expect(compose).not.toHaveProperty("version");
  expect(compose).not.toHaveProperty("name");
  // The older one refuses these.
  expect(text).not.toMatch(
    /^\s*(?:start_interval|pull_policy|develop|configs|secrets|include|attach|gpus):/m,
  );
});

test("the brokers are one anchor, and differ in who they are and where they are reached", () => {
  const rest = BROKERS.map(({ name }) => {
    const { hostname: _, ports: __, volumes: ___, environment = {}, ...same } = service(name);
    const { LOGRAFT_NODE_ID: ____, LOGRAFT_ADVERTISED_LISTENERS: _____, ...common } = environment;
    return { same, common };
  });
  expect(rest[1]).toEqual(rest[0]);
  expect(rest[2]).toEqual(rest[0]);
  expect(text.match(/^x-broker: &broker$/gm)).toHaveLength(1);
  expect(text.match(/<<: \*broker$/gm)).toHaveLength(3);
});

describe.each(BROKERS)("$name", ({ name, id, outside, http }) => {
  const broker = service(name);

  test("is told where clients inside and outside reach it, and the engine opens that port to this machine", () => {
    expect(broker.hostname).toBe(name);
    const environment = broker.environment ?? {};
    expect(environment["LOGRAFT_NODE_ID"]).toBe(id);
    expect(environment["LOGRAFT_ADVERTISED_LISTENERS"]).toBe(
      `INSIDE://${name}:9092,OUTSIDE://localhost:${outside}`,
    );
    expect(broker.ports).toEqual([`127.0.0.1:${outside}:9094`, `127.0.0.1:${http}:8080`]);
  });

  test("has settings that a broker takes, beside those of its HTTP port", () => {
    const { "http.port": port, ...settings } = settingsOf(broker.environment ?? {});
    expect(port).toBe("8080");
    const parsed = parseBrokerConfig(settings);
    expect(parsed.ok ? [] : parsed.errors).toEqual([]);
    if (!parsed.ok) return;
    const { config } = parsed;
    expect(config.listeners).toEqual([
      { name: "INSIDE", host: "", port: 9092 },
      { name: "PEER", host: "", port: 9093 },
      { name: "OUTSIDE", host: "", port: 9094 },
    ]);
    expect(config.controllerQuorumVoters).toEqual(
      BROKERS.map((one) => ({ nodeId: Number(one.id), endpoint: `${one.name}:9093` })),
    );
    expect(config.clusterId).toBeDefined();
  });

  test("keeps its data in a volume of its own, which is named", () => {
    expect(broker.volumes).toEqual([`${name}:/var/lib/lograft`]);
    expect(Object.keys(compose.volumes)).toContain(name);
  });

  test("comes back by itself, is given time to stop, and is healthy when it is ready", () => {
    expect(broker.restart).toBe("unless-stopped");
    const stopSeconds = Number(/^(\d+)s$/.exec(broker.stop_grace_period ?? "")?.[1]);
    expect(stopSeconds * 1000).toBeGreaterThan(30_000);
    expect(broker.healthcheck?.test).toEqual(["CMD", "lograft", "cluster", "health", "--local", "--ready"]);
    expect(text).not.toMatch(/\b(?:curl|wget)\b/);
  });

  test("is small and has no rights", () => {
    expect(broker).toMatchObject({ init: true, read_only: true, mem_limit: "512m" });
    expect(broker).toMatchObject({ cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] });
  });
});

test("no port is opened to other machines", () => {
  const ports = Object.values(compose.services).flatMap((one) => one.ports ?? []);
  expect(ports.filter((port) => !port.startsWith("127.0.0.1:"))).toEqual([]);
  const host = ports.map((port) => port.split(":")[1]);
  expect(new Set(host).size).toBe(host.length);
});

test("the clients of the demo are stopped before the brokers, which they need to finish", () => {
  for (const name of ["producer", "consumer"]) {
    expect(service(name).depends_on).toEqual(BROKERS.map((broker) => broker.name));
  }
});

test("the profiles are monitoring, demo and chaos, and chaos has the load of the demo", () => {
  const inProfile = (profile: string): string[] =>
    Object.keys(compose.services).filter((name) => service(name).profiles?.includes(profile));
  expect(inProfile("monitoring")).toEqual(["prometheus", "grafana"]);
  expect(inProfile("demo")).toEqual(["producer", "consumer"]);
  expect(inProfile("chaos")).toEqual(["producer", "consumer", "chaos"]);
});

test("every file that a service mounts or runs is there", () => {
  for (const [name, { volumes = [], entrypoint = [], build }] of Object.entries(compose.services)) {
    for (const volume of volumes) {
      const [source = ""] = volume.split(":");
      if (source.startsWith("./")) expect(existsSync(join(ROOT, source)), `${name}: ${source}`).toBe(true);
      else if (!source.startsWith("$")) expect(Object.keys(compose.volumes)).toContain(source);
    }
    const [, script] = entrypoint;
    if (script !== undefined) {
      const file = script.replace("/opt/lograft/deploy/", "deploy/demo/");
      expect(existsSync(join(ROOT, file)), `${name}: ${file}`).toBe(true);
    }
    if (build !== undefined) expect(existsSync(join(ROOT, build.dockerfile)), name).toBe(true);
  }
});

test("Prometheus asks every broker, and Grafana finds Prometheus and the dashboard", () => {
  const prometheus = readYamlFile("deploy/prometheus/prometheus.yml") as {
    readonly rule_files: readonly string[];
    readonly scrape_configs: readonly {
      readonly static_configs: readonly { readonly targets: readonly string[] }[];
    }[];
  };
  for (const { static_configs: configs } of prometheus.scrape_configs) {
    expect(configs[0]?.targets).toEqual(BROKERS.map(({ name }) => `${name}:8080`));
  }
  for (const file of prometheus.rule_files) {
    expect(existsSync(join(ROOT, "deploy/prometheus", file)), file).toBe(true);
  }
  const sources = readYamlFile("deploy/grafana/provisioning/datasources/prometheus.yml");
  expect(sources).toMatchObject({ datasources: [{ type: "prometheus", url: "http://prometheus:9090" }] });
  const providers = readYamlFile("deploy/grafana/provisioning/dashboards/lograft.yml") as {
    readonly providers: readonly { readonly options: { readonly path: string } }[];
  };
  const path = providers.providers[0]?.options.path ?? "";
  expect(service("grafana").volumes).toContain(`./deploy/grafana/dashboards:${path}:ro`);
  const home = service("grafana").environment?.["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] ?? "";
  expect(existsSync(join(ROOT, home.replace(path, "deploy/grafana/dashboards")))).toBe(true);
});
