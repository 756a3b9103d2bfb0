import { beforeEach, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { operationError } from "../../src/base/errors.ts";
import { BrokerSession } from "../../src/broker/broker-session.ts";
import type { SessionHandlers } from "../../src/broker/controller-channel.ts";
import { decodeBrokerFrame, encodeControllerFrame } from "../../src/controller/session-frames.ts";
import type { BrokerFrame, ControllerFrame, HeartbeatFrame } from "../../src/controller/session-frames.ts";
import { nodeId } from "../../src/model/ids.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

const UUID = "AAECAwQFRgeICQoLDA0ODw";
const HEARTBEAT_MS = 500;
const SESSION_MS = 3000;

/** One stream as the controller sees it. */
class FakeStream {
  readonly frames: BrokerFrame[] = [];
  isClosed = false;
  readonly handlers: SessionHandlers;

  constructor(handlers: SessionHandlers) {
    this.handlers = handlers;
  }

  answer(frame: ControllerFrame): void {
    this.handlers.onFrame(encodeControllerFrame(frame));
  }

  get heartbeats(): HeartbeatFrame[] {
    return this.frames.filter((frame) => frame.type === "heartbeat");
  }
}

let scheduler: Scheduler;
let clock: SimClock;
let streams: FakeStream[];
let isControllerKnown: boolean;
let metadataOffset: number;
let isDiskFull: boolean;
let refusals: Error[];
let lostCount: number;
let silences: number[];
let session: BrokerSession;

beforeEach(() => {
  scheduler = new Scheduler();
  clock = new SimClock({}, { scheduler });
  streams = [];
  isControllerKnown = true;
  metadataOffset = 10;
  isDiskFull = false;
  refusals = [];
  lostCount = 0;
  silences = [];
  session = new BrokerSession(
    {
      heartbeatIntervalMs: HEARTBEAT_MS,
      sessionTimeoutMs: SESSION_MS,
      registration: {
        nodeId: nodeId(2),
        incarnationId: UUID,
        directoryId: UUID,
        previousBrokerEpoch: undefined,
        wasCleanShutdown: false,
        host: "localhost",
        port: 9092,
        peerEndpoint: "localhost:9093",
        rack: null,
        brokerHost: null,
        features: new Map(),
        listeners: [],
      },
    },
    {
      clock,
      random: new SeededRandom(1),
      logger: silentLogger,
      open: (handlers) => {
        if (!isControllerKnown) return undefined;
        const stream = new FakeStream(handlers);
        streams.push(stream);
        return {
          send: (frame) => void stream.frames.push(decodeBrokerFrame(frame)),
          close: () => {
            stream.isClosed = true;
          },
        };
      },
      metadataOffset: () => metadataOffset,
      stateHash: () => undefined,
      health: { loopAgeMs: () => 3, diskAgeMs: () => 4 },
      isDiskFull: () => isDiskFull,
      onLost: () => (lostCount += 1),
      onContactLost: () => silences.push(scheduler.nowMs),
      onRefused: (error) => refusals.push(error),
    },
  );
});

function latest(): FakeStream {
  const stream = streams.at(-1);
  if (stream === undefined) throw new Error("no stream was opened");
  return stream;
}

async function register(): Promise<FakeStream> {
  session.start();
  latest().answer({ type: "registered", brokerEpoch: 17 });
  await scheduler.advance(0);
  return latest();
}

describe("a session", () => {
  test("registers first, and sends heartbeats only after the registration", async () => {
    session.start();
    await scheduler.advance(2 * HEARTBEAT_MS);
    expect(latest().frames.map(({ type }) => type)).toEqual(["register"]);
    latest().answer({ type: "registered", brokerEpoch: 17 });
    await scheduler.advance(2 * HEARTBEAT_MS);
    expect(session.brokerEpoch).toBe(17);
    expect(latest().heartbeats).toHaveLength(3);
    expect(latest().heartbeats[0]).toMatchObject({
      brokerEpoch: 17,
      metadataOffset: 10,
      loopAgeMs: 3,
      diskAgeMs: 4,
      wantsShutdown: false,
      isDiskFull: false,
    });
  });

  test("tells at once that the disk is full, with each heartbeat while it is, and of the next controller too", async () => {
    const stream = await register();
    isDiskFull = true;
    session.beat();
    expect(stream.heartbeats.at(-1)).toMatchObject({ isDiskFull: true, wantsShutdown: false });
    await scheduler.advance(HEARTBEAT_MS);
    expect(stream.heartbeats.at(-1)).toMatchObject({ isDiskFull: true });
    session.controllerChanged();
    session.beat(); // Nobody has registered it there yet.
    expect(latest().heartbeats).toEqual([]);
    latest().answer({ type: "registered", brokerEpoch: 17 });
    expect(latest().heartbeats.at(-1)).toMatchObject({ isDiskFull: true });
  });

  test("that ended is made again soon, with the same incarnation", async () => {
    const first = await register();
    first.handlers.onEnd("closed", operationError("CONNECTION_FAILED", "reset"));
    await scheduler.advance(30);
    expect(streams).toHaveLength(2);
    expect(latest().frames[0]).toEqual(first.frames[0]);
    expect(lostCount).toBe(1);
  });

  test("is tried at least once a second while nobody answers", async () => {
    session.start();
    for (let second = 0; second < 20; second++) {
      const before = streams.length;
      latest().handlers.onEnd("refused", operationError("CONNECTION_FAILED", "refused"));
      await scheduler.advance(1200);
      expect(streams.length).toBeGreaterThan(before);
    }
  });

  test("moves to the next controller at once, and what the old one still says does not count", async () => {
    const first = await register();
    session.controllerChanged();
    expect(first.isClosed).toBe(true);
    expect(streams).toHaveLength(2);
    first.answer({ type: "refused", code: "STALE_BROKER_EPOCH", message: "late", isRetriable: false });
    first.handlers.onEnd("closed", operationError("CLOSED", "late"));
    await scheduler.advance(10);
    expect(refusals).toEqual([]);
    expect(streams).toHaveLength(2);
  });

  test("waits without a stream while no controller is known", async () => {
    isControllerKnown = false;
    session.start();
    await scheduler.advance(5000);
    expect(streams).toEqual([]);
    isControllerKnown = true;
    session.controllerChanged();
    expect(streams).toHaveLength(1);
  });

  test("with a controller that is silent for a session's length is given up and made again", async () => {
    const first = await register();
    await scheduler.advance(SESSION_MS + 2 * HEARTBEAT_MS);
    expect(first.isClosed).toBe(true);
    await scheduler.advance(1500);
    expect(streams.length).toBeGreaterThan(1);
  });
});

const WELL = { type: "state", isFenced: false, mayShutDown: false } as const;

describe("contact", () => {
  test("is lost a session after the last heartbeat that was answered was sent, and back with the next one", async () => {
    const stream = await register();
    stream.answer(WELL);
    await scheduler.advance(SESSION_MS);
    expect(session.isContactLost).toBe(false);
    await scheduler.advance(1);
    expect(session.isContactLost).toBe(true);
    expect(stream.heartbeats.length).toBeGreaterThan(5);
    for (let n = 1; n < stream.heartbeats.length; n++) stream.answer(WELL);
    expect(session.isContactLost).toBe(false);
  });

  test("does not come with an answer that was read long after its heartbeat was sent (H31)", async () => {
    const stream = await register();
    clock.pause();
    await scheduler.advance(2 * SESSION_MS);
    clock.resume();
    stream.answer(WELL);
    expect(session.isContactLost).toBe(true);
  });

  test("does not come with what a fenced broker is told, nor with its registration (H31)", async () => {
    const stream = await register();
    await scheduler.advance(SESSION_MS + 1);
    expect(session.isContactLost).toBe(true);
    stream.answer({ type: "registered", brokerEpoch: 17 });
    for (let n = 0; n < stream.heartbeats.length; n++)
      stream.answer({ type: "state", isFenced: true, mayShutDown: false });
    expect(session.isContactLost).toBe(true);
    session.beat();
    stream.answer(WELL);
    expect(session.isContactLost).toBe(false);
  });

  test("that is lost is told once, at that moment, and again after it was back", async () => {
    const stream = await register();
    await scheduler.advance(HEARTBEAT_MS);
    stream.answer(WELL);
    stream.answer(WELL);
    const answeredMs = scheduler.nowMs;
    // Nobody takes the streams that are opened in between.
    await scheduler.advance(5 * SESSION_MS);
    expect(silences).toEqual([answeredMs + SESSION_MS + 1]);
    latest().answer({ type: "registered", brokerEpoch: 18 });
    latest().answer(WELL);
    const backMs = scheduler.nowMs;
    await scheduler.advance(5 * SESSION_MS);
    expect(silences.slice(1)).toEqual([backMs + SESSION_MS + 1]);
  });

  test("is not told of as lost while heartbeats are answered within each session's length, nor after the close", async () => {
    const stream = await register();
    let answered = 0;
    for (let n = 0; n < 10; n++) {
      await scheduler.advance(SESSION_MS - HEARTBEAT_MS - 1);
      for (; answered < stream.heartbeats.length; answered++) stream.answer(WELL);
    }
    session.close();
    expect(scheduler.pendingCount).toBe(0);
    await scheduler.advance(5 * SESSION_MS);
    expect(silences).toEqual([]);
  });
});

describe("a refusal", () => {
  test("that is final ends the session and is told", async () => {
    session.start();
    latest().answer({
      type: "refused",
      code: "INVALID_REGISTRATION",
      message: "another directory has this id",
      isRetriable: false,
    });
    await scheduler.advance(5000);
    expect(refusals).toMatchObject([{ code: "INVALID_REGISTRATION" }]);
    expect(streams).toHaveLength(1);
    expect(latest().isClosed).toBe(true);
  });

  test("that may pass is tried again", async () => {
    session.start();
    latest().answer({
      type: "refused",
      code: "DUPLICATE_BROKER_REGISTRATION",
      message: "the old session lives",
      isRetriable: true,
    });
    await scheduler.advance(1500);
    expect(refusals).toEqual([]);
    expect(streams.length).toBeGreaterThan(1);
  });

  test("bytes that are no frame end the stream, not the broker", async () => {
    const first = await register();
    first.handlers.onFrame(Buffer.from([9, 9, 9]));
    expect(first.isClosed).toBe(true);
    await scheduler.advance(100);
    expect(streams).toHaveLength(2);
  });
});

describe("a stop", () => {
  test("is asked for at once and allowed by the controller", async () => {
    const stream = await register();
    let isAllowed = false;
    void session.requestShutdown().then(() => (isAllowed = true));
    expect(stream.heartbeats.at(-1)).toMatchObject({ wantsShutdown: true });
    stream.answer({ type: "state", isFenced: false, mayShutDown: false });
    await scheduler.advance(0);
    expect(isAllowed).toBe(false);
    stream.answer({ type: "state", isFenced: false, mayShutDown: true });
    await scheduler.advance(0);
    expect(isAllowed).toBe(true);
  });

  test("is asked for again of the next controller", async () => {
    await register();
    void session.requestShutdown();
    session.controllerChanged();
    latest().answer({ type: "registered", brokerEpoch: 17 });
    expect(latest().heartbeats.at(-1)).toMatchObject({ wantsShutdown: true });
  });
});
