import { operationError } from "../base/errors.ts";

/** What an address that could not be listened on is told as: ADDRESS_IN_USE, or CONFIG_INVALID. */
export function listenError(error: Error & { readonly code?: string }, host: string, port: number): Error {
  const context = { host, port };
  if (error.code === "EADDRINUSE") {
    return operationError(
      "ADDRESS_IN_USE",
      `${host}:${port} is in use by another process; stop that one or choose another port`,
      { context, cause: error },
    );
  }
  return operationError(
    "CONFIG_INVALID",
    `cannot listen on ${host}:${port}: ${error.message}; check that the host is an address of this machine and the port is allowed`,
    { context, cause: error },
  );
}
