import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { RpcMetadata } from "./stream/byte-stream.ts";

/** The metadata entry that names a call or stream, so that what a client was told and a broker's log can be joined. */
export const REQUEST_ID_KEY = "x-request-id";

/** What others may send: text that can stand in a log line and in a shell as it is. */
const VALID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const CLIENT_PREFIX_BYTES = 4;

/** Makes ids: a prefix of its maker's own, and a number. */
export class RequestIds {
  readonly #prefix: string;
  #count = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Of a client: unlike those of all others, by chance. */
  static ofClient(random: Random): RequestIds {
    const prefix = Array.from(random.bytes(CLIENT_PREFIX_BYTES), (byte) =>
      byte.toString(16).padStart(2, "0"),
    );
    return new RequestIds(prefix.join(""));
  }

  /** Of a server, for calls that come without one; unlike those of its earlier lives, by the time. */
  static ofServer(clock: Clock): RequestIds {
    return new RequestIds(`broker-${Math.floor(clock.wallMs()).toString(36)}`);
  }

  next(): string {
    this.#count += 1;
    return `${this.#prefix}-${this.#count}`;
  }
}

/** True for an id that a server takes over from a client. */
export function isRequestId(text: string | undefined): text is string {
  return text !== undefined && VALID.test(text);
}

/** The id that a call carries; empty: none. On a server every call has one. */
export function requestIdOf({ metadata }: { readonly metadata: RpcMetadata }): string {
  return metadata.get(REQUEST_ID_KEY) ?? "";
}

/** The metadata of a call that came in, with an id in any case: its own, or one of ours in place of none or of a bad one. */
export function withRequestId(metadata: RpcMetadata, ids: RequestIds): RpcMetadata {
  if (isRequestId(metadata.get(REQUEST_ID_KEY))) return metadata;
  return new Map([...metadata, [REQUEST_ID_KEY, ids.next()]]);
}
