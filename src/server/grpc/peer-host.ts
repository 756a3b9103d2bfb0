/** The address in "host:port", "[v6]:port" or "v6:port", as gRPC names the other side of a call. */
export function hostOfPeer(peer: string): string {
  const host = peer.replace(/:\d+$/, "");
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
