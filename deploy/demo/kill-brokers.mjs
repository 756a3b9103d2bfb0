import { request } from "node:http";
import { hostname } from "node:os";

/*
 * Kills one broker of a compose project after the other (SIGKILL, in turn), and starts each again, by the engine's socket.
 *
 *   BROKERS          services, separated by commas
 *   EVERY_SECONDS    from one kill to the next (30)
 *   DOWN_SECONDS     how long each stays down (10)
 */
const socketPath = "/var/run/docker.sock";
const services = (process.env.BROKERS ?? "").split(",").filter((name) => name !== "");
const everyMs = Number(process.env.EVERY_SECONDS ?? "30") * 1000;
const downMs = Number(process.env.DOWN_SECONDS ?? "10") * 1000;
let isStopping = false;
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    isStopping = true;
    // Between two kills all brokers run, and nothing is left undone.
    if (down === undefined) process.exit(0);
  });
}
/** The container that is down now and must be started before this ends. */
let down;

const project = (await ask("GET", `/containers/${hostname()}/json`)).Config.Labels[
  "com.docker.compose.project"
];
for (let round = 0; !isStopping; round++) {
  await sleep(everyMs - downMs);
  const service = services[round % services.length];
  const labels = [`com.docker.compose.project=${project}`, `com.docker.compose.service=${service}`];
  const filters = encodeURIComponent(JSON.stringify({ label: labels, status: ["running"] }));
  const [container] = await ask("GET", `/containers/json?filters=${filters}`);
  if (container === undefined) {
    say(`${service} does not run; left alone`);
    continue;
  }
  down = container.Id;
  say(`kill ${service}`);
  await ask("POST", `/containers/${down}/kill?signal=SIGKILL`);
  await sleep(downMs);
  say(`start ${service}`);
  await ask("POST", `/containers/${down}/start`);
  down = undefined;
}

/** @returns what the engine answers, or undefined when it answers nothing. */
function ask(method, path) {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: 30_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece) => (text += piece));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode = 0 } = response;
        if (statusCode >= 400)
          reject(new Error(`${method} ${path}: the engine answers ${statusCode}: ${text.trim()}`));
        else resolve(text === "" ? undefined : JSON.parse(text));
      });
    });
    call.on("timeout", () => call.destroy(new Error("the engine does not answer")));
    call.on("error", reject);
    call.end();
  });
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function say(text) {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`);
}
