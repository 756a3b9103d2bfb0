import { once } from "node:events";
import { connect } from "node:net";

import { afterEach, describe, expect, test } from "vitest";

import { nodeId } from "../../src/model/ids.ts";
import {
  CONTROL_METHOD,
  HELLO_METHOD,
  RAFT_METHOD,
  REPLICATE_METHOD,
  SESSION_METHOD,
} from "../../src/rpc/method-names.ts";
import { encodePayload } from "../../src/rpc/payload-codec.ts";
import { PEER_MAX_MESSAGE_BYTES } from "../../src/rpc/peer-limits.ts";
import { encodeNodeHello } from "../../src/rpc/peer-messages.ts";
import { RPC_CODES } from "../../src/rpc/status.ts";
import type { StreamChannel } from "../../src/rpc/stream/byte-stream.ts";
import type { PeerServer } from "../../src/server/peer-server.ts";
import type { RecordedPeer } from "../contract/recorded-peer.ts";
import { openLaneChannel } from "../rpc/stream/lane-harness.ts";
import { callHeaders, END_HEADERS, FRAME, frame, RawHttp2Client } from "../rpc/stream/raw-http2.ts";
import { closeAll, closers, GOOD, LANES, open, openChannel, payload, start } from "./peer-server-harness.ts";

afterEach(closeAll);

describe("bytes that are no messages", () => {
  /** A good peer beside the abuser, which must notice nothing. */
  async function withNeighbour(): Promise<{
    server: PeerServer;
    peer: RecordedPeer;
    channel: StreamChannel;
    check: () => Promise<void>;
  }> {
    const { server, peer } = await start();
    const neighbour = open(openChannel(server), RAFT_METHOD);
    await neighbour.waitFor(1);
    const check = async (): Promise<void> => {
      const before = peer.received.length;
      neighbour.stream.send(payload("still here"));
      await peer.until(() => peer.received.length > before);
      expect(neighbour.events).toEqual(["message"]);
    };
    return { server, peer, channel: openChannel(server), check };
  }

  const garbage = [
    Buffer.alloc(0),
    Buffer.from([0x0a]),
    Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from("garbage"),
    Buffer.from([0x10, 0x01]),
  ];

  test("end the stream they come on, on every method, and no other", async () => {
    const { peer, channel, check } = await withNeighbour();
    for (const bytes of garbage) {
      for (const method of [HELLO_METHOD, CONTROL_METHOD, RAFT_METHOD, REPLICATE_METHOD, SESSION_METHOD]) {
        const call = open(channel, method);
        call.stream.send([bytes]);
        const status = await call.closed;
        expect(status.code, `${method} ${bytes.toString("hex")}`).toBe(RPC_CODES.INVALID_ARGUMENT);
      }
    }
    expect(peer.received).toEqual([]);
    await peer.until(() => [...peer.sessions, ...peer.replicas].every(({ ends }) => ends === 1));
    expect(peer.replicas.map(({ frames }) => frames)).toEqual(garbage.map(() => []));
    await check();
  });

  test("in a hello end it, also when it speaks for somebody else", async () => {
    const { peer, channel, check } = await withNeighbour();
    const hellos = [
      [Buffer.from([0xff])],
      // Another node than the metadata names.
      encodeNodeHello({ ...peer.helloOf(""), nodeId: nodeId(9) }),
    ];
    for (const hello of hellos) {
      const call = open(channel, HELLO_METHOD);
      call.stream.send(encodePayload(hello));
      expect((await call.closed).code).toBe(RPC_CODES.INVALID_ARGUMENT);
    }
    expect(peer.hellos).toEqual([]);
    await check();
  });

  test("no request, and more than one, end a call", async () => {
    const { peer, channel, check } = await withNeighbour();
    const none = open(channel, CONTROL_METHOD);
    none.stream.end();
    expect(await none.closed).toMatchObject({
      code: RPC_CODES.INVALID_ARGUMENT,
      message: /without a request/,
    });
    peer.answerCall = () => new Promise(() => undefined);
    const two = open(channel, CONTROL_METHOD);
    two.stream.send(payload("one"));
    two.stream.send(payload("two"));
    expect(await two.closed).toMatchObject({
      code: RPC_CODES.INVALID_ARGUMENT,
      message: /takes one request/,
    });
    await check();
  });

  test("a message that announces more than the limit is refused from its length alone", async () => {
    const { server, check } = await withNeighbour();
    const large = openLaneChannel("direct", server.port, 64 * 1024 * 1024);
    closers.push(() => large.close());
    const call = open(large, RAFT_METHOD);
    call.stream.send([Buffer.alloc(PEER_MAX_MESSAGE_BYTES + 1)]);
    expect((await call.closed).code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
    await check();
  });

  test("half a message and then nothing is the end of that stream only", async () => {
    const { server, peer, check } = await withNeighbour();
    const raw = new RawHttp2Client(server.port);
    closers.push(() => raw.close());
    const headers = callHeaders(RAFT_METHOD, Object.fromEntries(GOOD));
    raw.send(frame(FRAME.HEADERS, END_HEADERS, 1, headers));
    raw.send(frame(FRAME.DATA, 0, 1, Buffer.from([0, 0, 0, 1, 0, 0x0a, 0x80])));
    expect(await raw.find(({ type, streamId }) => type === FRAME.DATA && streamId === 1)).toBeDefined();
    await check();
    raw.close();
    await peer.until(() => peer.closedPeers.length > 0);
    expect(peer.received.map(String)).toEqual(["still here"]);
    await check();
  });

  test("noise on the socket ends that connection only", async () => {
    const { server, check } = await withNeighbour();
    const noises = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
      Buffer.alloc(64, 0xff),
      Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.alloc(64, 0xee)]),
    ];
    for (const noise of noises) {
      const socket = connect({ host: "127.0.0.1", port: server.port });
      socket.on("error", () => undefined);
      const answer: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => void answer.push(chunk));
      socket.write(noise);
      await once(socket, "close");
      if (noise.toString().startsWith("GET")) expect(Buffer.concat(answer).toString()).toMatch(/peer port/);
    }
    await check();
  });

  test("methods of the client port are not here", async () => {
    const { channel, check } = await withNeighbour();
    const call = open(channel, "/lograft.v1.ClientService/Produce");
    expect((await call.closed).code).toBe(RPC_CODES.UNIMPLEMENTED);
    await check();
  });

  test("more streams than one connection may have wait for those that are open", async () => {
    const { peer, channel, check } = await withNeighbour();
    const sessions = [open(channel, SESSION_METHOD)];
    await peer.until(() => peer.sessions.length === 1);
    peer.sessions[0]?.stream.send(Buffer.from("the limits are known now"));
    await sessions[0]?.waitFor(1);
    while (sessions.length < 70) sessions.push(open(channel, SESSION_METHOD));
    await peer.until(() => peer.sessions.length === 64);
    peer.sessions[63]?.stream.send(Buffer.from("accepted"));
    await sessions[63]?.waitFor(1);
    await check();
    expect(peer.sessions.length).toBe(64);
    sessions[0]?.stream.cancel();
    await peer.until(() => peer.sessions.length === 65);
  });

  test.each(LANES)(
    "a broker that does not read its session is cut when too much waits (%s)",
    async (lane) => {
      const { server, peer, check } = await withNeighbour();
      const call = open(openChannel(server, lane), SESSION_METHOD);
      call.stream.pause();
      call.stream.send(payload("register"));
      await peer.until(() => peer.sessions.length > 0);
      const session = peer.sessions[0]!;
      const state = Buffer.alloc(1024 * 1024);
      let sent = 0;
      while (session.ends === 0 && sent < 100) {
        session.stream.send(state);
        sent += 1;
      }
      expect(session.ends).toBe(1);
      expect(sent).toBeLessThan(40);
      await check();
    },
  );
});
