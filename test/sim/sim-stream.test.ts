import { expect, test } from "vitest";
import { SeededRandom } from "../../src/platform/random.ts";
import { OK_STATUS, RPC_CODES, rpcStatus } from "../../src/rpc/status.ts";
import type { RpcStatus } from "../../src/rpc/status.ts";
import type { ByteStream } from "../../src/rpc/stream/byte-stream.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { endpointOf, SimNetwork } from "../../src/sim/sim-network.ts";
import { openSimStream } from "../../src/sim/sim-stream.ts";
import { TestHost } from "./test-host.ts";

interface Side {
  readonly got: string[];
  readonly closes: RpcStatus[];
}

function open(serve: (stream: ByteStream, seen: Side) => void): {
  readonly scheduler: Scheduler;
  readonly server: TestHost;
  readonly stream: ByteStream;
  readonly atClient: Side;
  readonly atServer: Side;
} {
  const scheduler = new Scheduler();
  const network = new SimNetwork<TestHost>({ machineCount: 2 }, { scheduler, random: new SeededRandom(3) });
  const [client, server] = [new TestHost(0), new TestHost(1)];
  network.listen(endpointOf(1), server);
  const [atClient, atServer]: Side[] = [
    { got: [], closes: [] },
    { got: [], closes: [] },
  ];
  const watch = (stream: ByteStream, { got, closes }: Side): void => {
    stream.onMessage((message) => got.push(String(message)));
    stream.onEnd(() => got.push("half-close"));
    stream.onClose((status) => closes.push(status));
  };
  const stream = openSimStream(
    { endpoint: endpointOf(1), method: "/test" },
    {
      network,
      from: client,
      serviceOf: () => ({
        handler: (accepted) => {
          watch(accepted, atServer!);
          serve(accepted, atServer!);
        },
      }),
    },
  );
  watch(stream, atClient!);
  return { scheduler, server, stream, atClient: atClient!, atServer: atServer! };
}

test("messages pass in order both ways, and the server's status ends the call after them", async () => {
  const { scheduler, stream, atClient, atServer } = open((accepted) => {
    accepted.onMessage((message) => accepted.send([Buffer.from("to "), message]));
    accepted.onEnd(() => accepted.end(OK_STATUS));
  });
  for (const text of ["a", "b", "c"]) stream.send([Buffer.from(text)]);
  stream.end();
  await scheduler.runUntilIdle();
  expect(atClient.got).toEqual(["to a", "to b", "to c"]);
  expect(atClient.closes).toEqual([OK_STATUS]);
  expect(atServer.closes).toEqual([OK_STATUS]);
  expect(stream.signal.aborted).toBe(true);
  expect(stream.send([Buffer.from("late")])).toBe(false);
});

test("a side that pauses gets its messages when it goes on", async () => {
  let server: ByteStream | undefined;
  const { scheduler, stream, atServer } = open((accepted) => {
    server = accepted;
    accepted.pause();
  });
  stream.send([Buffer.from("held")]);
  await scheduler.runUntilIdle();
  expect(atServer.got).toEqual([]);
  server?.resume();
  expect(atServer.got).toEqual(["held"]);
});

test("a client that cancels, a server that refuses, a process that dies: each is one close with its status", async () => {
  const cancelled = open(() => undefined);
  cancelled.stream.send([Buffer.from("a")]);
  await cancelled.scheduler.runUntilIdle();
  cancelled.stream.cancel();
  await cancelled.scheduler.runUntilIdle();
  expect(cancelled.atServer.closes).toMatchObject([{ code: RPC_CODES.CANCELLED }]);
  expect(cancelled.atClient.closes).toMatchObject([{ code: RPC_CODES.CANCELLED }]);

  const refused = open((accepted) => accepted.cancel(rpcStatus("INVALID_ARGUMENT", "no")));
  await refused.scheduler.runUntilIdle();
  expect(refused.atClient.closes).toMatchObject([{ code: RPC_CODES.INVALID_ARGUMENT, message: "no" }]);

  const died = open(() => undefined);
  died.stream.send([Buffer.from("a")]);
  await died.scheduler.runUntilIdle();
  died.server.die();
  await died.scheduler.runUntilIdle();
  expect(died.atClient.closes).toMatchObject([{ code: RPC_CODES.UNAVAILABLE, connection: "lost" }]);
});
