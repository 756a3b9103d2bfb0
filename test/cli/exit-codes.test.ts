import { expect, test } from "vitest";
import { LograftError, operationError } from "../../src/base/errors.ts";
import { EXIT, EXIT_MEANINGS, exitCodeOf, exitCodeOfAll } from "../../src/cli/exit-codes.ts";
import { Interruption, interruptedCode } from "../../src/cli/interruption.ts";
import { DeliveryError, ProtocolError } from "../../src/client/index.ts";

test.each([
  [new ProtocolError("UNKNOWN_TOPIC_OR_PARTITION", ""), 3],
  [new ProtocolError("TOPIC_ALREADY_EXISTS", ""), 4],
  [new ProtocolError("INVALID_TOPIC_EXCEPTION", ""), 2],
  [new ProtocolError("INVALID_CONFIG", ""), 2],
  [new ProtocolError("TOPIC_AUTHORIZATION_FAILED", ""), 5],
  [new ProtocolError("LEADER_NOT_AVAILABLE", ""), 6],
  [new ProtocolError("MESSAGE_TOO_LARGE", ""), 1],
  [new ProtocolError("BROKER_ID_NOT_REGISTERED", ""), 3],
  [new ProtocolError("DUPLICATE_VOTER", ""), 4],
  [new ProtocolError("INVALID_VOTER_KEY", ""), 4],
  [new ProtocolError("INVALID_VOTER_KEY", "", { retriable: true }), 6],
  [operationError("CONFIG_INVALID", ""), 2],
  [operationError("DATA_DIR_LOCKED", ""), 4],
  [operationError("DATA_DIR_VERSION", ""), 78],
  [operationError("CONNECTION_FAILED", ""), 6],
  [operationError("NO_QUORUM", ""), 6],
  [operationError("LOG_CORRUPT", ""), 8],
  [operationError("DISK_FULL", "", { retriable: true }), 6],
  [new LograftError("SOMETHING_NEW", ""), 1],
  [
    new DeliveryError("NOT_ENOUGH_REPLICAS", "", {
      outcome: "failed",
      topic: "t",
      partition: 0,
      recordCount: 1,
    }),
    6,
  ],
  [new Error("a bug"), 1],
  ["text", 1],
])("%s ends with %i", (error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});

test("every exit code has its meaning", () => {
  expect(new Set(Object.keys(EXIT_MEANINGS).map(Number))).toEqual(new Set<number>(Object.values(EXIT)));
});

test("an interruption ends with the code of its signal", () => {
  const controller = new AbortController();
  expect(interruptedCode(controller.signal)).toBeUndefined();
  controller.abort(new Interruption("SIGTERM"));
  expect(interruptedCode(controller.signal)).toBe(143);
  expect(interruptedCode(AbortSignal.abort())).toBe(130);
});

test("several failures end with what they have in common, some of many with 7", () => {
  const missing = new ProtocolError("GROUP_ID_NOT_FOUND", "");
  const busy = new ProtocolError("NON_EMPTY_GROUP", "");
  expect(exitCodeOfAll([], 2)).toBe(0);
  expect(exitCodeOfAll([missing], 2)).toBe(7);
  expect(exitCodeOfAll([missing, missing], 2)).toBe(3);
  expect(exitCodeOfAll([missing, busy], 2)).toBe(1);
});
