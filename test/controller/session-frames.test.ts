import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeBrokerFrame,
  decodeControllerFrame,
  encodeBrokerFrame,
  encodeControllerFrame,
} from "../../src/controller/session-frames.ts";
import type { BrokerFrame, ControllerFrame } from "../../src/controller/session-frames.ts";
import { nodeId } from "../../src/model/ids.ts";
import { checkCodec, counts, nodeIds, texts } from "./codec-bench.ts";

const uint16s = fc.nat({ max: 0xffff });
const features = fc
  .array(fc.tuple(texts, fc.record({ min: uint16s, max: uint16s })), { maxLength: 3 })
  .map((pairs) => new Map(pairs));

const brokerFrames: fc.Arbitrary<BrokerFrame> = fc.oneof(
  fc.record({
    type: fc.constant("register" as const),
    nodeId: nodeIds,
    incarnationId: texts,
    directoryId: texts,
    previousBrokerEpoch: fc.option(counts, { nil: undefined }),
    wasCleanShutdown: fc.boolean(),
    host: texts,
    port: uint16s,
    peerEndpoint: texts,
    rack: fc.option(texts),
    brokerHost: fc.option(texts),
    features,
    listeners: fc.array(fc.record({ name: texts, host: texts, port: uint16s }), { maxLength: 3 }),
  }),
  fc.record(
    {
      type: fc.constant("heartbeat" as const),
      brokerEpoch: counts,
      metadataOffset: counts,
      loopAgeMs: counts,
      diskAgeMs: counts,
      wantsShutdown: fc.boolean(),
      isDiskFull: fc.boolean(),
      stateHash: fc.record({ offset: counts, hash: fc.nat({ max: 0xffffffff }) }),
    },
    {
      requiredKeys: [
        "type",
        "brokerEpoch",
        "metadataOffset",
        "loopAgeMs",
        "diskAgeMs",
        "wantsShutdown",
        "isDiskFull",
      ],
    },
  ),
);

const controllerFrames: fc.Arbitrary<ControllerFrame> = fc.oneof(
  fc.record({ type: fc.constant("registered" as const), brokerEpoch: counts }),
  fc.record({
    type: fc.constant("refused" as const),
    code: texts,
    message: texts,
    isRetriable: fc.boolean(),
  }),
  fc.record({ type: fc.constant("state" as const), isFenced: fc.boolean(), mayShutDown: fc.boolean() }),
  fc.record(
    {
      type: fc.constant("notController" as const),
      leader: fc.record({ nodeId: nodeIds, directoryId: texts, endpoint: texts }),
    },
    { requiredKeys: ["type"] },
  ),
);

test("frames of a broker come back as they were, and nothing else is taken", () => {
  checkCodec(brokerFrames, encodeBrokerFrame, decodeBrokerFrame);
});

test("a registration has a version of its own only when it names listeners", () => {
  const register = {
    type: "register",
    nodeId: nodeId(1),
    incarnationId: "run",
    directoryId: "directory",
    previousBrokerEpoch: undefined,
    wasCleanShutdown: true,
    host: "host",
    port: 9092,
    peerEndpoint: "",
    rack: null,
    brokerHost: null,
    features: new Map(),
  } as const;
  const before = encodeBrokerFrame({ ...register, listeners: [] });
  const listeners = [{ name: "OUTSIDE", host: "outside", port: 19_092 }];
  const now = encodeBrokerFrame({ ...register, listeners });
  expect([before[0], now[0]]).toEqual([1, 2]);
  // Behind the version it is the same, and the list.
  expect(now.subarray(1, before.length)).toEqual(before.subarray(1));
  now[0] = 1;
  expect(() => decodeBrokerFrame(now)).toThrow();
  before[0] = 2;
  expect(() => decodeBrokerFrame(before)).toThrow();
});

test("frames of a controller come back as they were, and nothing else is taken", () => {
  checkCodec(controllerFrames, encodeControllerFrame, decodeControllerFrame);
});

test("neither side takes the frames of the other", () => {
  const registered = encodeControllerFrame({ type: "registered", brokerEpoch: 3 });
  expect(() => decodeBrokerFrame(registered)).toThrow("no frame that a broker sends");
  fc.assert(
    fc.property(brokerFrames, (frame) => {
      const hasListeners = frame.type === "register" && frame.listeners.length > 0;
      expect(() => decodeControllerFrame(encodeBrokerFrame(frame))).toThrow(
        hasListeners ? "has version 2" : "no frame that a controller sends",
      );
    }),
  );
});

test("the bytes of a heartbeat stay what they are; its ages are whole milliseconds", () => {
  const bytes = encodeBrokerFrame({
    type: "heartbeat",
    brokerEpoch: 5,
    metadataOffset: 260,
    loopAgeMs: 1.6,
    diskAgeMs: 0.2,
    wantsShutdown: true,
    isDiskFull: false,
    stateHash: { offset: 256, hash: 0xdeadbeef },
  });
  const int64s = ["05", "0104", "02", "00"].map((hex) => hex.padStart(16, "0")).join("");
  expect(bytes.toString("hex")).toBe(`0102${int64s}01` + `01${"0100".padStart(16, "0")}deadbeef`);
});

test("a full disk is told in a form that a controller before it reads as a state hash of offset 0", () => {
  const heartbeat = {
    type: "heartbeat",
    brokerEpoch: 5,
    metadataOffset: 260,
    loopAgeMs: 0,
    diskAgeMs: 0,
    wantsShutdown: false,
  } as const;
  const bytes = Buffer.from(encodeBrokerFrame({ ...heartbeat, isDiskFull: true }));
  const tailAt = bytes.length - 13;
  expect(bytes.subarray(tailAt).toString("hex")).toBe(`02${"0".repeat(24)}`);
  // It took any byte but 0 for a 1.
  bytes[tailAt] = 1;
  expect(decodeBrokerFrame(bytes)).toEqual({
    ...heartbeat,
    isDiskFull: false,
    stateHash: { offset: 0, hash: 0 },
  });
});
