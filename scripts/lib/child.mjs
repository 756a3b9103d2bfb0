import { spawn } from "node:child_process";
import { SetupError } from "./project.mjs";

const forwarded = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"];
/* Keys of a terminal: it sends these to the whole group, the child included. */
const fromTerminal = new Set(["SIGINT", "SIGQUIT"]);
const sameSignalMs = 500;

/**
 * Runs the program in this one's place: same stdio, signals handed on, and this process ends as the child did.
 *
 * One Ctrl-C must arrive once, since a broker takes the second for "stop at once". The terminal sends it to the child
 * itself, and `npm start` sends it to this process again; so with a terminal on stdin a key's signal is not handed on,
 * and without one a repetition within half a second counts as the same.
 */
export function becomeChild(command, args, options = {}) {
  const child = spawn(command, args, {
    stdio: "inherit",
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
  });
  const lastSent = new Map();
  const handlers = new Map();
  for (const signal of forwarded) {
    const handler = () => {
      if (fromTerminal.has(signal) && process.stdin.isTTY) return;
      const now = performance.now();
      if (now - (lastSent.get(signal) ?? -Infinity) < sameSignalMs) return;
      lastSent.set(signal, now);
      child.kill(signal);
    };
    handlers.set(signal, handler);
    process.on(signal, handler);
  }
  child.once("error", (error) => {
    process.stderr.write(`lograft: ${command} did not start: ${error.message}\n`);
    process.exit(1);
  });
  child.once("exit", (code, signal) => {
    for (const [name, handler] of handlers) process.off(name, handler);
    if (signal === null) process.exit(code ?? 1);
    process.kill(process.pid, signal);
    // Only a signal that this process may ignore gets here.
    process.exitCode = 1;
  });
}

/**
 * Runs a step of the setup and answers whether it succeeded. Its output goes to stderr: it is progress, not an answer.
 * A signal that ends this process ends the step first, so that no npm writes on behind the back of the next launcher.
 */
export function runToEnd(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", 2, 2] });
    let interrupted = false;
    const stop = () => {
      interrupted = true;
      child.kill("SIGTERM");
    };
    const signals = ["SIGTERM", "SIGINT", "SIGHUP"];
    for (const signal of signals) process.on(signal, stop);
    const finish = (settle) => {
      for (const signal of signals) process.off(signal, stop);
      settle();
    };
    child.once("error", (error) => {
      finish(() => reject(new SetupError(`${command} did not start: ${error.message}`)));
    });
    child.once("close", (code) => {
      finish(() => (interrupted ? reject(new SetupError("interrupted")) : resolve(code === 0)));
    });
  });
}
