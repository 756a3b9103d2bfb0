import { request } from "node:http";
import { errorMessage, operationError } from "../base/errors.ts";

/** What a broker's HTTP port said. */
export interface LocalAnswer {
  readonly status: number;
  readonly body: string;
}

/** A check as `/healthz?verbose` tells it. */
export interface LocalCheck {
  readonly name: string;
  readonly isOk: boolean;
  /** Readiness depends on it. */
  readonly isNeeded: boolean;
  readonly detail: string;
}

/** What `/healthz?verbose` tells. */
export interface LocalHealth {
  readonly nodeId: number;
  readonly isReady: boolean;
  readonly isHealthy: boolean;
  readonly checks: readonly LocalCheck[];
}

/** Larger than any list of checks. */
const DEFAULT_MAX_BYTES = 64 * 1024;
const DEFAULT_PORT = "8080";

/**
 * Where the broker on this machine tells its health: `given` ("host:port", or a port alone), else what its own environment
 * says (LOGRAFT_HTTP_HOST, LOGRAFT_HTTP_PORT), else 127.0.0.1:8080. @throws LograftError INVALID_ARGUMENT.
 */
export function localAddress(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): { readonly host: string; readonly port: number } {
  const { LOGRAFT_HTTP_HOST: envHost = "", LOGRAFT_HTTP_PORT: envPort = "" } = env;
  // Kubernetes gives the address of a service named lograft-http by the same name, which is no port.
  const fromEnvironment = `${envHost}:${/^\d+$/.test(envPort) ? envPort : DEFAULT_PORT}`;
  const text = given ?? fromEnvironment;
  const match = /^(?:(.*):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[2]);
  if (match === null || port === 0 || port > 65_535) {
    throw operationError("INVALID_ARGUMENT", `--http ${text}: write it as host:port, or as a port alone`);
  }
  const host = (match[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  // A port that is open on all interfaces is open on this one.
  const isAny = host === "" || host === "0.0.0.0" || host === "::";
  return { host: isAny ? "127.0.0.1" : host, port };
}

/** One GET. @throws LograftError CONNECTION_FAILED, TIMEOUT (both retriable); the reason of `signal`. */
export function askLocal(
  at: { readonly host: string; readonly port: number; readonly path: string },
  options: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    /** A longer answer is an error. Default 64 KiB. */
    readonly maxBytes?: number;
  },
): Promise<LocalAnswer> {
  const { host, port } = at;
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  const where = `${host}:${port}`;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      clearTimeout(timer);
      reject(options.signal.aborted ? abortError(options.signal) : unreachable(where, cause));
    };
    // Without an agent the connection ends with the answer, and nothing keeps the process.
    const asked = request({ ...at, agent: false, signal: options.signal }, (response) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      response.on("data", (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes <= maxBytes) chunks.push(chunk);
        else asked.destroy(new Error("the answer is too long for that of a broker"));
      });
      response.on("error", fail);
      response.on("end", () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    const timer = setTimeout(() => {
      const text = `no answer from ${where} within ${options.timeoutMs} ms`;
      reject(operationError("TIMEOUT", text, { retriable: true }));
      asked.destroy();
    }, options.timeoutMs);
    asked.on("error", fail);
    asked.end();
  });
}

/** The body of `/healthz?verbose`. @throws LograftError CONNECTION_FAILED when it is something else. */
export function parseLocalHealth(body: string, where: string): LocalHealth {
  try {
    const parsed: unknown = JSON.parse(body);
    if (isLocalHealth(parsed)) return parsed;
  } catch {
    // Not JSON: told below, like every other answer that is not a broker's.
  }
  throw operationError("CONNECTION_FAILED", `what answers at ${where} is not a lograft broker; check --http`);
}

function isLocalHealth(value: unknown): value is LocalHealth {
  return (
    typeof value === "object" &&
    value !== null &&
    "nodeId" in value &&
    "isReady" in value &&
    "isHealthy" in value &&
    "checks" in value &&
    Array.isArray(value.checks)
  );
}

function unreachable(where: string, cause: unknown): Error {
  return operationError(
    "CONNECTION_FAILED",
    `no broker's HTTP port answers at ${where} (${errorMessage(cause)}); start the broker with http.port set, ` +
      "or name the port with --http host:port",
    { cause, retriable: true },
  );
}

function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : operationError("ABORTED", "interrupted", { cause: reason });
}
