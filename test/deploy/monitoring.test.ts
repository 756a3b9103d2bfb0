import { describe, expect, test } from "vitest";
import { readDeployFile, readYamlFile } from "./deploy-files.ts";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

describe("the dashboard", () => {
  const dashboard = JSON.parse(readDeployFile("deploy/grafana/dashboards/lograft.json")) as {
    readonly panels: readonly Panel[];
    readonly templating: { readonly list: readonly { readonly name: string }[] };
  };
  const { panels } = dashboard;

  test("has a row for each part of a broker", () => {
    expect(panels.filter(({ type }) => type === "row").map(({ title }) => title)).toEqual([
      "Health",
      "Traffic",
      "Latency of writes by phase",
      "Raft: the metadata quorum",
      "Disk",
      "Consumer groups",
      "Node.js",
    ]);
  });

  test("has panels with ids of their own that do not lie upon one another", () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { gridPos, title } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x} ${y}`), title).toBe(false);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  test("asks the data source and the job that are chosen at its top", () => {
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(["datasource", "job"]);
    for (const { type, title, targets = [], datasource } of panels) {
      if (type === "row") continue;
      expect(datasource?.uid, title).toBe("${datasource}");
      expect(targets.length, title).toBeGreaterThan(0);
      for (const { expr } of targets) expect(expr, title).toContain('job="$job"');
    }
  });

  test("has balanced expressions", () => {
    for (const { title, targets = [] } of panels) for (const { expr } of targets) expectBalanced(expr, title);
  });
});

describe("the alerts", () => {
  const rules = (
    readYamlFile("deploy/prometheus/alerts.yml") as {
      readonly groups: readonly {
        readonly rules: readonly {
          readonly alert: string;
          readonly expr: string;
          readonly labels: { readonly severity: string };
          readonly annotations: { readonly summary: string; readonly description: string };
        }[];
      }[];
    }
  ).groups.flatMap((group) => group.rules);

  test("are these", () => {
    expect(rules.map(({ alert }) => alert)).toEqual([
      "LograftBrokerDown",
      "LograftNotReady",
      "LograftPartitionOffline",
      "LograftUnderMinIsr",
      "LograftUnderReplicated",
      "LograftNoController",
      "LograftElectionStorm",
      "LograftMetadataLag",
      "LograftDiskFull",
      "LograftDiskFilling",
      "LograftGroupLagGrows",
      "LograftEventLoopSlow",
      "LograftProduceSlow",
    ]);
  });

  test("say what is wrong and what to do, and how bad it is", () => {
    for (const { alert, expr, labels, annotations } of rules) {
      expect(["warning", "critical"], alert).toContain(labels.severity);
      expect(annotations.summary.length, alert).toBeGreaterThan(10);
      expect(annotations.description.length, alert).toBeGreaterThan(20);
      expect(expr, alert).toContain('job="lograft"');
      expectBalanced(expr, alert);
    }
  });
});

function expectBalanced(expression: string, where: string): void {
  const open: string[] = [];
  const pairs: Readonly<Record<string, string>> = { ")": "(", "}": "{", "]": "[" };
  for (const character of expression.replaceAll(/"[^"]*"/g, "")) {
    if ("({[".includes(character)) open.push(character);
    const opening = pairs[character];
    if (opening !== undefined) expect(open.pop(), `${where}: ${expression}`).toBe(opening);
  }
  expect(open, `${where}: ${expression}`).toEqual([]);
}
