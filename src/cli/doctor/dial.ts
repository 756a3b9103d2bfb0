import { lookup } from "node:dns/promises";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "../../base/errors.ts";
import { isLograftError } from "../../client/errors.ts";
import type { Admin, ClusterDetails } from "../../client/index.ts";
import { clientEndpoint } from "../cluster-survey.ts";

/** An address as a client would dial it. */
export interface DialedAddress {
  readonly host: string;
  readonly port: number;
}

/** How far one comes with an address, from here. */
export type Reached =
  | { readonly kind: "unresolved" | "refused" | "timeout" | "unreachable"; readonly cause: string }
  /** Something listens, and is no broker that talks to us. */
  | { readonly kind: "foreign"; readonly cause: string }
  | { readonly kind: "broker"; readonly cluster: ClusterDetails };

/** Of each step of a dial. */
export const DIAL_TIMEOUT_MS = 3000;

/** "host:port" or "[v6]:port" in its parts; a missing port is 0, which nothing listens on. */
export function parseAddress(text: string): DialedAddress {
  const [, v6, plain, port] = /^(?:\[(.*)\]|(.*?))(?::(\d+))?$/.exec(text) ?? [];
  return { host: v6 ?? plain ?? text, port: Number(port ?? 0) };
}

/** Resolves the name and connects, as a client would; undefined: something listens there. Never rejects. */
export async function knock(
  { host, port }: DialedAddress,
  signal: AbortSignal,
): Promise<Exclude<Reached, { readonly kind: "broker" }> | undefined> {
  const found = await within(lookup(host, { all: true }), signal);
  if (found === "timeout") return { kind: "timeout", cause: `the name ${host} is not resolved in time` };
  if (found instanceof Error || found.length === 0) {
    return { kind: "unresolved", cause: `the name ${host} does not resolve here` };
  }
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    const settle = (reached: Exclude<Reached, { readonly kind: "broker" }> | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reached);
    };
    const timer = setTimeout(() => {
      settle({ kind: "timeout", cause: `no answer within ${DIAL_TIMEOUT_MS / 1000} s` });
    }, DIAL_TIMEOUT_MS);
    socket.on("connect", () => settle(undefined));
    socket.on("error", (error: Error & { readonly code?: string }) => {
      if (error.code === "ECONNREFUSED") settle({ kind: "refused", cause: "nothing listens there" });
      else settle({ kind: "unreachable", cause: error.message });
    });
  });
}

/** Dials an address and asks who is there. Never rejects but with the reason of `signal`. */
export async function dial(admin: Admin, address: DialedAddress, signal: AbortSignal): Promise<Reached> {
  const failure = await knock(address, signal);
  signal.throwIfAborted();
  if (failure !== undefined) return failure;
  try {
    const at = { address: clientEndpoint(address), timeoutMs: DIAL_TIMEOUT_MS, signal };
    return { kind: "broker", cluster: await admin.describeCluster(at) };
  } catch (error: unknown) {
    if (!isLograftError(error) || signal.aborted) throw error;
    return { kind: "foreign", cause: errorMessage(error) };
  }
}

/** The outcome, its error, or "timeout". Never rejects; the work itself cannot be called back. */
async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T | Error | "timeout"> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const asError = (error: unknown): Error =>
    error instanceof Error ? error : new Error(errorMessage(error));
  try {
    return await Promise.race([
      work.catch(asError),
      sleep(DIAL_TIMEOUT_MS, "timeout" as const, { signal: stop }).catch(() => "timeout" as const),
    ]);
  } finally {
    over.abort();
  }
}
