import { spawnSync } from "node:child_process";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Where scripts/deploy-tools.mjs puts them. */
const FOLDER = process.env["DEPLOY_TOOLS"] ?? join(homedir(), ".cache", "lograft-tools");
/** What `helm template` takes the cluster to be, and whose schemas kubectl-validate carries. */
const KUBERNETES = "1.30";

/** The environment in which the tools are found: on the PATH, or where the script puts them. */
const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}${delimiter}${FOLDER}` };

export const hasHelm = spawnSync("helm", ["version", "--short"], { env }).status === 0;
export const hasValidator = spawnSync("kubectl-validate", ["--help"], { env }).status === 0;

/** What helm makes of a chart with these values, "key=value" each. @throws with helm's own words. */
export function renderChart(chart: string, namespace: string, sets: readonly string[]): string {
  const values = sets.flatMap((set) => ["--set", set.replaceAll(",", "\\,")]);
  const args = [
    "template",
    "orders",
    chart,
    "--namespace",
    namespace,
    "--kube-version",
    KUBERNETES,
    ...values,
  ];
  const { status, stdout, stderr } = spawnSync("helm", args, { env, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** What is wrong with the manifests in a file or folder, by the schemas of Kubernetes; empty: nothing. */
export function schemaFaults(path: string): string {
  const { status, stdout, stderr } = spawnSync("kubectl-validate", ["--version", KUBERNETES, path], {
    env,
    encoding: "utf8",
  });
  return status === 0 ? "" : `${stdout}${stderr}`;
}
