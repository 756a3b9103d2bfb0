import { expect, test } from "vitest";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { endpointOf, GOOD_LINKS, machineOf, SimNetwork } from "../../src/sim/sim-network.ts";
import { TestHost } from "./test-host.ts";

function makeNetwork(seed = 1): {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork<TestHost>;
  readonly hosts: readonly TestHost[];
} {
  const scheduler = new Scheduler();
  const network = new SimNetwork<TestHost>(
    { machineCount: 3 },
    { scheduler, random: new SeededRandom(seed) },
  );
  const hosts = [0, 1, 2].map((machine) => new TestHost(machine));
  for (const host of hosts) network.listen(endpointOf(host.machine), host);
  return { scheduler, network, hosts };
}

/** Sends datagrams 0..count-1 from machine 0 to machine 1, one a millisecond; answers them in order of arrival. */
async function sendMany(
  { scheduler, network, hosts }: ReturnType<typeof makeNetwork>,
  count: number,
): Promise<number[]> {
  const received: number[] = [];
  const [from] = hosts;
  if (from === undefined) return received;
  for (let index = 0; index < count; index++) {
    network.datagram(from, endpointOf(1), () => received.push(index));
    await scheduler.advance(1);
  }
  await scheduler.advance(5_000);
  return received;
}

test("good links deliver every datagram once", async () => {
  const made = makeNetwork();
  made.network.setQuality({ ...GOOD_LINKS, jitterMs: 0 });
  expect(await sendMany(made, 50)).toEqual(Array.from({ length: 50 }, (_, index) => index));
  expect(made.network.counts).toMatchObject({
    sent: 50,
    delivered: 50,
    dropped: 0,
    duplicated: 0,
    reordered: 0,
  });
});

test("bad links lose, double and reorder datagrams, each as often as the counts say", async () => {
  const made = makeNetwork();
  made.network.setQuality({ ...GOOD_LINKS, dropRate: 0.2, duplicateRate: 0.2, jitterMs: 30 });
  const received = await sendMany(made, 500);
  const { dropped, duplicated, reordered, delivered } = made.network.counts;
  expect(received).toHaveLength(500 - dropped + duplicated);
  expect(received).toHaveLength(delivered);
  expect(dropped).toBeGreaterThan(50);
  expect(duplicated).toBeGreaterThan(50);
  expect(reordered).toBeGreaterThan(50);
});

test("a cut is of one direction, takes what is under way, and needs as many mends as it had cuts", async () => {
  const made = makeNetwork();
  const { network, hosts, scheduler } = made;
  const link = [[0, 1]] as const;
  let received = 0;
  const send = (from: number, to: number): void => {
    const host = hosts[from];
    if (host !== undefined) network.datagram(host, endpointOf(to), () => received++);
  };
  send(0, 1);
  network.cut(link);
  network.cut(link);
  send(0, 1);
  await scheduler.advance(100);
  expect(received).toBe(0);
  send(1, 0);
  await scheduler.advance(100);
  expect(received).toBe(1);
  network.mend(link);
  expect(network.isCut(0, 1)).toBe(true);
  network.mend(link);
  send(0, 1);
  await scheduler.advance(100);
  expect(received).toBe(2);
  expect(() => network.mend(link)).toThrow(/not cut/);
});

test("a datagram reaches whoever listens when it arrives, and nobody when that process is dead", async () => {
  const { scheduler, network, hosts } = makeNetwork();
  const [from, first] = hosts;
  const next = new TestHost(1);
  const receivers: TestHost[] = [];
  if (from === undefined || first === undefined) throw new Error("no hosts");
  network.datagram(from, endpointOf(1), (host) => receivers.push(host));
  network.listen(endpointOf(1), next);
  network.close(endpointOf(1), first);
  await scheduler.advance(100);
  expect(receivers).toEqual([next]);
  next.die();
  network.datagram(from, endpointOf(1), (host) => receivers.push(host));
  await scheduler.advance(100);
  expect(receivers).toEqual([next]);
  expect(network.hostAt(endpointOf(1))).toBeUndefined();
});

test("an endpoint names its machine", () => {
  expect(machineOf(endpointOf(6))).toBe(6);
  expect(machineOf("")).toBeUndefined();
});
