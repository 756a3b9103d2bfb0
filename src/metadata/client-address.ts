import type { BrokerRegistrationRecord } from "./records.ts";

/**
 * Where a client that came in on that listener reaches a broker: at its listener of the same name, or, when it has none of
 * that name or none is asked for, at its first.
 */
export function clientAddressOf(
  { host, port, listeners }: Pick<BrokerRegistrationRecord, "host" | "port" | "listeners">,
  listener: string | undefined,
): { readonly host: string; readonly port: number } {
  const found = listeners.find(({ name }) => name === listener);
  return found === undefined ? { host, port } : { host: found.host, port: found.port };
}
