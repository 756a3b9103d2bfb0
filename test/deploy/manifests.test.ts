import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { describe, expect, test } from "vitest";
import { parseBrokerConfig } from "../../src/model/configs.ts";
import { hasHelm, hasValidator, renderChart, schemaFaults } from "./deploy-tools.ts";
import { readDeployFile, readYamlDocuments, readYamlFile, ROOT, settingsOf } from "./deploy-files.ts";

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: {
      readonly fieldRef?: { readonly fieldPath: string };
      readonly secretKeyRef?: { readonly name: string; readonly key: string };
    };
  }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string }[];
  readonly terminationGracePeriodSeconds: number;
  readonly topologySpreadConstraints: readonly { readonly topologyKey: string }[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec: {
    readonly replicas?: number;
    readonly serviceName?: string;
    readonly podManagementPolicy?: string;
    readonly clusterIP?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly maxUnavailable?: number;
    readonly selector?: Readonly<Record<string, unknown>>;
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
    readonly ports?: readonly { readonly name: string; readonly targetPort: string }[];
  };
}

const NAMESPACE = "shop";
/** What is in every secret: a value for log.retention.bytes. */
const SECRET = "1073741824";

/** What the kubelet makes of the variables of the pod with that number. */
function environmentOf({ env }: Container, podName: string, ordinal: number): Record<string, string> {
  const fields: Readonly<Record<string, string>> = {
    "metadata.name": podName,
    "metadata.namespace": NAMESPACE,
    "metadata.labels['apps.kubernetes.io/pod-index']": String(ordinal),
    "spec.nodeName": `node-${ordinal}`,
  };
  const values = new Map<string, string>();
  for (const { name, value, valueFrom } of env) {
    const field = valueFrom?.fieldRef?.fieldPath;
    const secret = valueFrom?.secretKeyRef;
    const text = secret === undefined ? (field === undefined ? value : fields[field]) : SECRET;
    if (text === undefined) throw new Error(`${name} has no value`);
    // Only what stands above it is known.
    values.set(
      name,
      text.replaceAll(/\$\(([A-Z_]+)\)/g, (whole, other: string) => values.get(other) ?? whole),
    );
  }
  return Object.fromEntries(values);
}

/** What holds for the brokers of any manifests of ours. */
function checkBrokers(manifests: readonly Manifest[], hasOutside: boolean): void {
  const ofKind = (kind: string): readonly Manifest[] => manifests.filter((one) => one.kind === kind);
  const [set] = ofKind("StatefulSet");
  const pod = set?.spec.template;
  const container = pod?.spec.containers[0];
  if (set === undefined || pod === undefined || container === undefined) throw new Error("no StatefulSet");
  const { name } = set.metadata;

  expect(set.spec.podManagementPolicy).toBe("Parallel");
  const headless = ofKind("Service").find((one) => one.metadata.name === set.spec.serviceName);
  expect(headless?.spec).toMatchObject({ clusterIP: "None", publishNotReadyAddresses: true });
  expect(ofKind("PodDisruptionBudget").map(({ spec }) => spec.maxUnavailable)).toEqual([1]);
  expect(container.startupProbe.httpGet).toEqual({ path: "/startupz", port: "http" });
  expect(container.readinessProbe.httpGet).toEqual({ path: "/readyz", port: "http" });
  expect(container.livenessProbe.httpGet).toEqual({ path: "/livez", port: "http" });
  // A service named lograft would show as LOGRAFT_PORT, which is no setting.
  expect(pod.spec).toMatchObject({ enableServiceLinks: false });
  expect(pod.spec).toMatchObject({ securityContext: { runAsNonRoot: true, runAsUser: 10_001 } });
  expect(container).toMatchObject({
    securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
  });
  expect(pod.spec.topologySpreadConstraints.map(({ topologyKey }) => topologyKey)).toEqual([
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
  ]);

  // Every selector finds the pods, and every port by name is one of theirs.
  const ports = container.ports.map((port) => port.name);
  for (const { metadata, spec } of ofKind("Service")) {
    for (const { targetPort } of spec.ports ?? []) expect(ports, metadata.name).toContain(targetPort);
    if (metadata.name.includes("-external-")) continue;
    expect(pod.metadata.labels, metadata.name).toMatchObject(spec.selector ?? { none: "" });
  }
  expect(pod.metadata.labels).toMatchObject(set.spec.selector?.["matchLabels"] ?? { none: "" });

  const volumes = [...pod.spec.volumes, ...(set.spec.volumeClaimTemplates ?? []).map((one) => one.metadata)];
  for (const mount of container.volumeMounts) {
    expect(volumes.map((volume) => volume.name)).toContain(mount.name);
  }

  for (let ordinal = 0; ordinal < (set.spec.replicas ?? 0); ordinal++) {
    const podName = `${name}-${ordinal}`;
    const environment = environmentOf(container, podName, ordinal);
    const { "http.port": http, "broker.rack.file": _, ...settings } = settingsOf(environment);
    expect(http).toBe("8080");
    const parsed = parseBrokerConfig(settings);
    expect(parsed.ok ? [] : parsed.errors, podName).toEqual([]);
    if (!parsed.ok) continue;
    const { config } = parsed;
    const domain = `${podName}.${set.spec.serviceName ?? ""}.${NAMESPACE}.svc`;
    expect(config.nodeId).toBe(ordinal);
    expect(config.host).toBe(`node-${ordinal}`);
    expect(config.controllerQuorumVoters?.[ordinal]?.endpoint).toBe(`${domain}:9093`);
    expect(config.advertisedListeners?.[0]).toEqual({ name: "INSIDE", host: domain, port: 9092 });
    expect(config.listeners.length).toBe(hasOutside ? 3 : 2);
    expect(pod.spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(config.shutdownTimeoutMs);
  }
}

describe("the plain manifests", () => {
  const manifests = readYamlDocuments("deploy/kubernetes/lograft.yaml") as readonly Manifest[];

  test("are these", () => {
    expect(manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      "ServiceAccount lograft",
      "ConfigMap lograft",
      "Service lograft-headless",
      "Service lograft",
      "PodDisruptionBudget lograft",
      "NetworkPolicy lograft",
      "StatefulSet lograft",
    ]);
  });

  test("start brokers that find one another, with settings that they take", () =>
    checkBrokers(manifests, false));

  test("the patch for zones adds to containers and volumes that are there", () => {
    const set = manifests.find(({ kind }) => kind === "StatefulSet");
    const patch = readYamlFile("deploy/kubernetes/zones.patch.yaml") as Pick<Manifest, "spec">;
    const container = set?.spec.template?.spec.containers[0];
    const added = patch.spec.template?.spec.containers[0];
    expect(added?.name).toBe(container?.name);
    expect(added?.env.map(({ name }) => name)).toEqual(["LOGRAFT_BROKER_RACK_FILE"]);
    const roles = readYamlDocuments("deploy/kubernetes/zones.yaml") as readonly Manifest[];
    expect(roles.map(({ kind }) => kind)).toEqual(["ClusterRole", "ClusterRoleBinding"]);
  });
});

const CHART = "deploy/helm/lograft";
const missing = [...(hasHelm ? [] : ["helm"]), ...(hasValidator ? [] : ["kubectl-validate"])];
if (missing.length > 0) {
  process.stderr.write(
    `SKIPPED: there is no ${missing.join(" and no ")} here, so the chart and the manifests are only looked at, not ` +
      `${hasHelm ? "held against the schemas of Kubernetes" : "rendered"}; see scripts/deploy-tools.mjs\n`,
  );
}

describe("the chart", () => {
  test("describes each of its values, and nothing that is not there", () => {
    const values = readYamlFile(`${CHART}/values.yaml`) as Readonly<Record<string, unknown>>;
    const schema = JSON.parse(readDeployFile(`${CHART}/values.schema.json`)) as {
      readonly properties: Readonly<
        Record<string, { readonly properties?: Readonly<Record<string, unknown>> }>
      >;
      readonly required: readonly string[];
    };
    const beside = new Set(["global", "nameOverride", "fullnameOverride"]);
    const described = Object.keys(schema.properties).filter((key) => !beside.has(key));
    expect(described.sort()).toEqual(Object.keys(values).sort());
    for (const [key, { properties }] of Object.entries(schema.properties)) {
      if (properties === undefined) continue;
      expect(Object.keys(properties).sort(), key).toEqual(Object.keys(values[key] ?? {}).sort());
    }
  });

  test("uses every value, and defines every template that it includes", () => {
    const names = readdirSync(join(ROOT, CHART, "templates"), { recursive: true, encoding: "utf8" });
    const text = names
      .filter((name) => /\.(?:yaml|tpl|txt)$/.test(name))
      .map((name) => readDeployFile(`${CHART}/templates/${name}`))
      .join("\n");
    const values = readYamlFile(`${CHART}/values.yaml`) as Readonly<Record<string, unknown>>;
    for (const key of Object.keys(values)) expect(text, key).toMatch(new RegExp(`\\.Values\\.${key}\\b`));
    const used = Array.from(text.matchAll(/\.Values\.([a-zA-Z]+)/g), ([, key = ""]) => key);
    const known = new Set([...Object.keys(values), "nameOverride", "fullnameOverride"]);
    expect(used.filter((key) => !known.has(key))).toEqual([]);
    const defined = new Set(Array.from(text.matchAll(/define "([^"]+)"/g), ([, name = ""]) => name));
    const included = Array.from(text.matchAll(/include "([^"]+)"/g), ([, name = ""]) => name);
    expect(included.filter((name) => !defined.has(name))).toEqual([]);
    const opened = text.match(/\{\{-? *(?:if|range|with|define) /g)?.length;
    expect(text.match(/\{\{-? *end *-?\}\}/g)?.length).toBe(opened);
  });

  test("names the release that it is for", () => {
    const { version } = JSON.parse(readDeployFile("package.json")) as { readonly version: string };
    const chart = parse(readDeployFile(`${CHART}/Chart.yaml`)) as { readonly appVersion: string };
    const [major, minor] = version.split(".").map(Number);
    const [chartMajor = 0, chartMinor = 0] = chart.appVersion.split(".").map(Number);
    // The chart may be for the release that is being made.
    expect(chartMajor * 1000 + chartMinor).toBeGreaterThanOrEqual((major ?? 0) * 1000 + (minor ?? 0));
  });

  /** Name, values, whether clients come from outside, and what is there beside. */
  const renderings = [
    ["as it comes", [], false],
    [
      "with everything",
      [
        "external.enabled=true",
        "external.advertised=nodes.example.com:3109$(ORDINAL)",
        "serviceMonitor.enabled=true",
        "serviceMonitor.labels.release=prometheus",
        "replicas=5",
        "voters=5",
        "config.log\\.retention\\.hours=72",
        "secretConfig[0].key=log.retention.bytes",
        "secretConfig[0].secret=s",
        "secretConfig[0].secretKey=k",
        "imagePullSecrets[0].name=registry",
        "storage.className=fast",
        "priorityClassName=high",
        "podAnnotations.note=yes",
        "podLabels.team=logs",
        "nodeSelector.disk=local",
        "tolerations[0].operator=Exists",
        "serviceAccount.annotations.a=b",
      ],
      true,
    ],
    [
      "by load balancers",
      [
        "external.enabled=true",
        "external.type=LoadBalancer",
        "external.advertised=$(POD_NAME).example.com:9094",
        "external.annotations.a=b",
      ],
      true,
    ],
    [
      "with the least",
      ["zones.enabled=false", "networkPolicy.enabled=false", "serviceAccount.create=false"],
      false,
    ],
    ["for one broker", ["replicas=1", "voters=1"], false],
  ] as const;

  function rendered(
    sets: readonly string[],
  ): readonly { readonly manifest: Manifest; readonly text: string }[] {
    return parseAllDocuments(renderChart(join(ROOT, CHART), NAMESPACE, sets)).flatMap((document) => {
      expect(document.errors).toEqual([]);
      const manifest = document.toJS() as Manifest | null;
      return manifest === null ? [] : [{ manifest, text: document.toString() }];
    });
  }

  test.runIf(hasHelm).each(renderings)(
    "renders %s to brokers that find one another",
    (_name, sets, hasOutside) => {
      const manifests = rendered(sets).map(({ manifest }) => manifest);
      checkBrokers(manifests, hasOutside);
      const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      expect(new Set(names).size).toBe(names.length);
      const settings = manifests.find(({ kind }) => kind === "ConfigMap")?.data?.["server.properties"] ?? "";
      expect(settings.includes("log.retention.hours=72")).toBe(hasOutside && sets.length > 5);
    },
  );

  test.runIf(hasHelm && hasValidator).each(renderings)(
    "rendered %s is what the schemas of Kubernetes want",
    (_name, sets) => {
      // A ServiceMonitor is not of Kubernetes itself.
      const known = rendered(sets).filter(({ manifest }) => manifest.kind !== "ServiceMonitor");
      expect(faultsOf(known.map(({ text }) => text).join("---\n"))).toBe("");
    },
  );

  test.runIf(hasHelm).each([
    ["replicas=zero", /replicas/],
    ["voters=2", /voters/],
    ["external.type=Ingress", /external/],
    ["replicsa=3", /replicsa/],
    ["external.enabled=true", /advertised/],
    ["voters=5", /replicas/],
  ])("refuses %s", (set, named) => {
    expect(() => rendered([set])).toThrow(named);
  });
});

test.runIf(hasValidator).each(["lograft.yaml", "zones.yaml"])(
  "kubernetes/%s is what the schemas of Kubernetes want",
  (name) => {
    expect(faultsOf(readDeployFile(`deploy/kubernetes/${name}`))).toBe("");
    // A check that finds nothing wrong anywhere would be none.
    expect(faultsOf(readDeployFile(`deploy/kubernetes/${name}`).replace("metadata:", "metdata:"))).not.toBe(
      "",
    );
  },
);

function faultsOf(manifests: string): string {
  const folder = mkdtempSync(join(tmpdir(), "lograft-manifests-"));
  try {
    const file = join(folder, "manifests.yaml");
    writeFileSync(file, manifests);
    return schemaFaults(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
