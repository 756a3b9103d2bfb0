import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";

/*
 * node zone.mjs FILE: writes the zone of this pod's node to FILE, for broker.rack (LOGRAFT_BROKER_RACK_FILE). A pod is not
 * told the labels of its node, so the Kubernetes API is asked for them, which takes a service account that may get nodes.
 * A node without a zone is a zone of its own. Needs NODE_NAME.
 */
const account = "/var/run/secrets/kubernetes.io/serviceaccount";
const label = "topology.kubernetes.io/zone";
const [, , file] = process.argv;
const {
  NODE_NAME: node,
  KUBERNETES_SERVICE_HOST: host,
  KUBERNETES_SERVICE_PORT_HTTPS: port = "443",
} = process.env;
if (file === undefined || node === undefined || host === undefined) {
  fail("usage: node zone.mjs FILE, in a pod, with NODE_NAME from spec.nodeName");
}
const { metadata } = await getNode();
const zone = metadata.labels?.[label] ?? node;
await writeFile(file, zone);
process.stdout.write(`node ${node} is in zone ${zone}\n`);

async function getNode() {
  const [token, ca] = await Promise.all([
    readFile(`${account}/token`, "utf8"),
    readFile(`${account}/ca.crt`),
  ]).catch((error) =>
    fail(`no service account is mounted (${error.message}); set automountServiceAccountToken`),
  );
  return await new Promise((resolve) => {
    const call = request(
      {
        host,
        port,
        ca,
        path: `/api/v1/nodes/${encodeURIComponent(node)}`,
        headers: { authorization: `Bearer ${token}` },
        timeout: 10_000,
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece) => (text += piece));
        response.on("error", (error) => fail(`the answer of the Kubernetes API broke off: ${error.message}`));
        response.on("end", () => {
          if (response.statusCode === 200) resolve(JSON.parse(text));
          else
            fail(
              `the Kubernetes API answers ${response.statusCode} for node ${node}; may this service account get nodes?`,
            );
        });
      },
    );
    call.on("timeout", () => call.destroy(new Error("no answer within 10 s")));
    call.on("error", (error) => fail(`the Kubernetes API cannot be asked: ${error.message}`));
    call.end();
  });
}

function fail(message) {
  process.stderr.write(`zone.mjs: ${message}\n`);
  process.exit(1);
}
