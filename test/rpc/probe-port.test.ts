import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";

import { NodeClock } from "../../src/platform/node/node-clock.ts";
import { probePort } from "../../src/rpc/probe-port.ts";

const clock = new NodeClock();

test("a port that is listened on is open, and one that is not any more refuses", async () => {
  const server = createServer((socket) => void socket.on("error", () => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const target = { host: "127.0.0.1", port: (server.address() as AddressInfo).port, timeoutMs: 5000 };
  expect(await probePort(target, { clock })).toBe("open");
  server.close();
  await once(server, "close");
  expect(await probePort(target, { clock })).toBe("refused");
});

test("no answer in time is no verdict", async () => {
  let fire: () => void = () => undefined;
  const stopped = {
    setTimer(_: number, callback: () => void) {
      fire = callback;
      return { cancel: () => undefined };
    },
  };
  const probing = probePort(
    { host: "127.0.0.1", port: 1, timeoutMs: 5 },
    { clock: Object.assign(Object.create(clock) as NodeClock, stopped) },
  );
  fire();
  expect(await probing).toBe("unknown");
});
