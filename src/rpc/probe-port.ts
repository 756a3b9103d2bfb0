import { connect } from "node:net";

import type { Clock } from "../platform/clock.ts";

/** "refused": the machine is there and nothing listens; "open": something does; "unknown": no answer, or no way. */
export type PortState = "refused" | "open" | "unknown";

/** Finds out whether anything listens at an address, by a connection that is dropped at once. */
export function probePort(
  target: { readonly host: string; readonly port: number; readonly timeoutMs: number },
  deps: { readonly clock: Clock },
): Promise<PortState> {
  return new Promise((resolve) => {
    const socket = connect({ host: target.host, port: target.port });
    const settle = (state: PortState): void => {
      timer.cancel();
      socket.destroy();
      resolve(state);
    };
    const timer = deps.clock.setTimer(target.timeoutMs, () => settle("unknown"));
    socket.on("connect", () => settle("open"));
    socket.on("error", (error: Error & { readonly code?: string }) => {
      settle(error.code === "ECONNREFUSED" ? "refused" : "unknown");
    });
  });
}
