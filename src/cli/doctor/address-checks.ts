import type { ClusterLook, SeenAddress, SeenBroker } from "./cluster-look.ts";
import { Findings } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** Who dials it reaches itself. */
const OWN_MACHINE = /^(?:localhost|127\..*|::1)$/;

/**
 * Every address that clients are told, dialled from here. One of the listener that we came in on is what clients here are
 * given, so it must work; those of other listeners are for clients elsewhere.
 */
export function checkAddresses({ brokers, survey }: ClusterLook): Finding[] {
  const found: Finding[] = [];
  const findings = new Findings("addresses", found);
  for (const seen of brokers) {
    const about = `broker ${seen.broker.nodeId}`;
    const trouble = troubleOf(seen, seen.address, survey.cluster.clusterId);
    if (trouble === undefined) findings.ok(about, `${shown(seen.address)} answers as this broker`);
    else findings.failed(about, `${shown(seen.address)}: ${trouble.cause}`, trouble.next);
    for (const other of seen.others) {
      const cause = troubleOf(seen, other, survey.cluster.clusterId)?.cause;
      if (cause === undefined) findings.ok(about, `${shown(other)} answers as this broker`);
      else {
        const next = `right if clients of ${other.listener} are elsewhere: run doctor there, with -b ${shownPlain(other)}`;
        findings.warning(about, `${shown(other)}: ${cause}`, next);
      }
    }
  }
  return found;
}

/** What keeps clients here from using an address, and what to set; undefined: nothing. */
function troubleOf(
  { broker }: SeenBroker,
  address: SeenAddress,
  clusterId: string,
): { readonly cause: string; readonly next: string } | undefined {
  const { host, reached } = address;
  const { nodeId, isFenced } = broker;
  const set = `set advertised.listeners of broker ${nodeId} to an address that reaches it from where its clients are`;
  const own = OWN_MACHINE.test(host) ? `; ${host} is each machine's own, also each container's` : "";
  const inside = "clients inside and outside of Docker or a network need a listener each (docs/cluster.md)";
  switch (reached.kind) {
    case "broker": {
      const { answeredBy, clusterId: theirs } = reached.cluster;
      if (theirs !== clusterId) {
        return { cause: `a broker of another cluster (${theirs}) answers${own}`, next: set };
      }
      if (answeredBy.nodeId === nodeId) return undefined;
      return { cause: `broker ${answeredBy.nodeId} answers there${own}`, next: `${set}; ${inside}` };
    }
    case "unresolved":
      return { cause: reached.cause, next: `${set}, or make the name known here; ${inside}` };
    case "refused":
      if (isFenced)
        return { cause: `${reached.cause}: the broker is not in service`, next: "start it, and see its log" };
      return {
        cause: `${reached.cause}, though the broker is in service${own}`,
        next: `publish the port here, or ${set}`,
      };
    case "timeout":
    case "unreachable": {
      const next = `open the way (firewall, security group, published port), or ${set}`;
      return { cause: reached.cause, next };
    }
    case "foreign":
      return { cause: `what answers there is no broker (${reached.cause})`, next: set };
  }
}

function shown(address: SeenAddress): string {
  return address.listener === "" ? shownPlain(address) : `${address.listener}://${shownPlain(address)}`;
}

function shownPlain({ host, port }: SeenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
