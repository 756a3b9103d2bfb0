import type { ByteStream, CallOptions } from "../rpc/stream/byte-stream.ts";
import type { GrpcJsChannel } from "../rpc/stream/grpc-js-channel.ts";

/** Brokers take 100 streams on a connection (`grpc.max.concurrent.streams`); more would wait there without a word. */
const MAX_STREAMS = 80;

interface Counted {
  readonly channel: GrpcJsChannel;
  streamCount: number;
}

/**
 * Connections to one broker for streams that stay open: the heartbeats of group members. Each takes a bounded number of
 * them, and no calls, which would stand behind them. One that lost its last stream is closed.
 */
export class MembershipChannels {
  readonly #newChannel: () => GrpcJsChannel;
  readonly #channels = new Set<Counted>();

  constructor(deps: { readonly newChannel: () => GrpcJsChannel }) {
    this.#newChannel = deps.newChannel;
  }

  openStream(method: string, options: CallOptions): ByteStream {
    const counted = this.#withRoom();
    const stream = counted.channel.openStream(method, options);
    counted.streamCount++;
    const forget = (): void => {
      counted.streamCount--;
      if (counted.streamCount > 0 || !this.#channels.delete(counted)) return;
      counted.channel.close();
    };
    if (stream.signal.aborted) forget();
    else stream.signal.addEventListener("abort", forget, { once: true });
    return stream;
  }

  close(): void {
    const channels = [...this.#channels];
    this.#channels.clear();
    for (const { channel } of channels) channel.close();
  }

  #withRoom(): Counted {
    for (const counted of this.#channels) if (counted.streamCount < MAX_STREAMS) return counted;
    const counted = { channel: this.#newChannel(), streamCount: 0 };
    this.#channels.add(counted);
    return counted;
  }
}
