import type { ChannelOptions } from "@grpc/grpc-js";

/** Bounds of the grpc-js lane, on either side. */
export interface GrpcJsLimits {
  /** Of a message, either way: `message.max.bytes` and some room for the other fields. */
  readonly maxMessageBytes: number;
}

/** What every grpc-js server of a broker is made with. */
export function grpcJsServerOptions(limits: GrpcJsLimits): ChannelOptions {
  return {
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": limits.maxMessageBytes,
    // Each stream holds a window and a handler; gRPC's advice is 100 at most.
    "grpc.max_concurrent_streams": 100,
    // MB of headers and unsent output; grpc-js would set no limit (H72).
    "grpc-node.max_session_memory": 256,
    // A vanished client is found within 40 s.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // As the direct lane: a connection without calls is let go.
    "grpc.max_connection_idle_ms": 600_000,
    // Costs on each call, used by nobody here.
    "grpc.enable_channelz": 0,
  };
}

/** What every grpc-js channel of ours is made with. */
export function grpcJsChannelOptions(limits: GrpcJsLimits): ChannelOptions {
  return {
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": limits.maxMessageBytes,
    // grpc-js lets only the client raise its window; the default of 64 KiB halves a fetch.
    "grpc-node.flow_control_window": 4 * 1024 * 1024,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5000,
    "grpc.keepalive_permit_without_calls": 1,
    // The default grows to two minutes, far beyond the time in which a broker is back.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    // Retries are the SDK's: it knows leaders, epochs and sequences.
    "grpc.enable_retries": 0,
    "grpc.enable_channelz": 0,
    // A channel is one connection, not shared with another channel to the same broker.
    "grpc.use_local_subchannel_pool": 1,
    // Brokers are asked directly, and never for a DNS TXT record.
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
  };
}
