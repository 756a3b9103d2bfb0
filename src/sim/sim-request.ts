import { abortReason } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import { connectionError, SimConnection } from "./sim-connection.ts";
import type { NetworkHost, SimNetwork } from "./sim-network.ts";
import type { SimProcess } from "./sim-process.ts";

type Answer<T> = { readonly value: T } | { readonly error: Error };

/**
 * One question and its answer over a connection of its own. What `serve` throws in the other process is thrown here.
 * @throws LograftError CONNECTION_FAILED (`context.isRefused` when nobody listens there), the reason of `signal`.
 */
export async function request<T>(
  network: SimNetwork<SimProcess>,
  from: NetworkHost,
  endpoint: string,
  serve: (host: SimProcess, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  if (signal.aborted) throw abortReason(signal);
  const result = new Deferred<T>();
  const connection = SimConnection.open<SimProcess, Answer<T> | "question">(
    network,
    from,
    endpoint,
    {
      onFrame: (frame) => {
        if (frame === "question") return;
        if ("value" in frame) result.resolve(frame.value);
        else result.reject(frame.error);
      },
      onEnd: (reason) => result.reject(connectionError(endpoint, reason)),
    },
    (host, side) => {
      const gone = new AbortController();
      return {
        onFrame: () => {
          const answer = (frame: Answer<T>): void => {
            side.send(frame);
            side.close();
          };
          serve(host, gone.signal).then(
            (value) => answer({ value }),
            (error: unknown) => answer({ error: asError(error) }),
          );
        },
        onEnd: () => gone.abort(operationError("ABORTED", "who asked is gone")),
      };
    },
  );
  connection.send("question");
  const onAbort = (): void => result.reject(abortReason(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await result.promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    connection.close();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
