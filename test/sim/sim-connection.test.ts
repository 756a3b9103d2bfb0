import { expect, test } from "vitest";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimConnection } from "../../src/sim/sim-connection.ts";
import type { ConnectionEnd, ConnectionSide } from "../../src/sim/sim-connection.ts";
import { endpointOf, GOOD_LINKS, SimNetwork } from "../../src/sim/sim-network.ts";
import { TestHost } from "./test-host.ts";

interface Log {
  readonly frames: string[];
  readonly ends: ConnectionEnd[];
}

function open(options: { readonly isListening?: boolean; readonly lossRate?: number } = {}): {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork<TestHost>;
  readonly client: TestHost;
  readonly server: TestHost;
  readonly side: ConnectionSide<string>;
  readonly accepted: ConnectionSide<string>[];
  readonly atClient: Log;
  readonly atServer: Log;
} {
  const scheduler = new Scheduler();
  const network = new SimNetwork<TestHost>({ machineCount: 2 }, { scheduler, random: new SeededRandom(3) });
  network.setQuality({ ...GOOD_LINKS, jitterMs: 20, dropRate: options.lossRate ?? 0 });
  const [client, server] = [new TestHost(0), new TestHost(1)];
  if (options.isListening !== false) network.listen(endpointOf(1), server);
  const atClient: Log = { frames: [], ends: [] };
  const atServer: Log = { frames: [], ends: [] };
  const accepted: ConnectionSide<string>[] = [];
  const handlersOf = ({ frames, ends }: Log): Parameters<typeof SimConnection.open<TestHost, string>>[3] => ({
    onFrame: (frame) => frames.push(frame),
    onEnd: (reason) => ends.push(reason),
  });
  const side = SimConnection.open<TestHost, string>(
    network,
    client,
    endpointOf(1),
    handlersOf(atClient),
    (_host, made) => {
      accepted.push(made);
      return handlersOf(atServer);
    },
  );
  return { scheduler, network, client, server, side, accepted, atClient, atServer };
}

test("frames arrive in order in both directions, also where packets get lost", async () => {
  const { scheduler, side, accepted, atClient, atServer } = open({ lossRate: 0.2 });
  const names = Array.from({ length: 40 }, (_, index) => `frame ${index}`);
  for (const name of names) {
    side.send(name);
    await scheduler.advance(7);
  }
  await scheduler.advance(10_000);
  for (const name of names) accepted[0]?.send(name);
  await scheduler.advance(10_000);
  expect(atServer.frames).toEqual(names);
  expect(atClient.frames).toEqual(names);
  side.close();
  await scheduler.advance(3_000);
  expect([atClient.ends, atServer.ends]).toEqual([[], ["closed"]]);
});

test("where nobody listens the connection is refused", async () => {
  const { scheduler, atClient } = open({ isListening: false });
  await scheduler.advance(100);
  expect(atClient.ends).toEqual(["refused"]);
});

test("behind a cut nothing is refused: the connection breaks after some time", async () => {
  const { scheduler, network, atClient } = open({ isListening: false });
  network.cut([[1, 0]]);
  await scheduler.advance(1_500);
  expect(atClient.ends).toEqual([]);
  await scheduler.advance(3_000);
  expect(atClient.ends).toEqual(["closed"]);
});

test("a process that dies resets its connections, through a cut only when it is mended", async () => {
  const { scheduler, network, server, atClient } = open();
  await scheduler.advance(100);
  network.cut([[1, 0]]);
  server.die();
  await scheduler.advance(500);
  expect(atClient.ends).toEqual([]);
  network.mend([[1, 0]]);
  await scheduler.advance(500);
  expect(atClient.ends).toEqual(["closed"]);
});

test("a short cut only delays frames, a long one breaks both sides", async () => {
  const { scheduler, network, side, atClient, atServer } = open();
  await scheduler.advance(100);
  network.cut([[0, 1]]);
  side.send("late");
  await scheduler.advance(900);
  network.mend([[0, 1]]);
  await scheduler.advance(900);
  expect(atServer.frames).toEqual(["late"]);
  network.cut([[0, 1]]);
  side.send("never");
  await scheduler.advance(5_000);
  expect(atServer).toEqual({ frames: ["late"], ends: ["closed"] });
  expect(atClient.ends).toEqual(["closed"]);
});

test("a paused process gets its frames when it goes on", async () => {
  const { scheduler, server, side, atServer } = open();
  await scheduler.advance(100);
  server.pause();
  side.send("waits");
  await scheduler.advance(5_000);
  expect(atServer.frames).toEqual([]);
  server.resume();
  expect(atServer.frames).toEqual(["waits"]);
});

test("a process that stood still and died before it could accept is answered for by its machine", async () => {
  const { scheduler, server, accepted, atClient } = open();
  server.pause();
  await scheduler.advance(1_000);
  expect(atClient.ends).toEqual([]);
  server.die();
  await scheduler.advance(1_000);
  expect(atClient.ends).toEqual(["closed"]);
  expect(accepted).toEqual([]);
});
