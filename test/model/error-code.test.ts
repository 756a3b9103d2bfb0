import { expect, test } from "vitest";

import { LograftError } from "../../src/base/errors.ts";
import {
  ERROR_CODES,
  errorCodeOf,
  errorNameOf,
  isErrorName,
  isRetriable,
  ProtocolError,
  refreshesCoordinator,
  refreshesMetadata,
  type ErrorName,
} from "../../src/model/error-code.ts";

const names = Object.keys(ERROR_CODES) as ErrorName[];

test("the codes are -1 to 136 without a gap, and each has its name back", () => {
  expect(Object.values(ERROR_CODES).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 138 }, (_, i) => i - 1),
  );
  for (const name of names) expect(errorNameOf(errorCodeOf(name))).toBe(name);
});

test("well-known codes have Kafka's numbers", () => {
  expect(ERROR_CODES).toMatchObject({
    UNKNOWN_SERVER_ERROR: -1,
    NONE: 0,
    CORRUPT_MESSAGE: 2,
    NOT_LEADER_OR_FOLLOWER: 6,
    MESSAGE_TOO_LARGE: 10,
    TOPIC_ALREADY_EXISTS: 36,
    INVALID_RECORD: 87,
    UNKNOWN_TOPIC_ID: 100,
    REBOOTSTRAP_REQUIRED: 129,
  });
});

test("a code that is not in the table reads as an unknown server error", () => {
  expect(errorNameOf(9999)).toBe("UNKNOWN_SERVER_ERROR");
  expect(errorNameOf(-2)).toBe("UNKNOWN_SERVER_ERROR");
});

test("whoever has to refresh something may also retry", () => {
  for (const name of names) {
    if (refreshesMetadata(name) || refreshesCoordinator(name)) expect(isRetriable(name), name).toBe(true);
  }
  expect(refreshesMetadata("NOT_LEADER_OR_FOLLOWER")).toBe(true);
  expect(refreshesMetadata("REQUEST_TIMED_OUT")).toBe(false);
  expect(refreshesCoordinator("NOT_COORDINATOR")).toBe(true);
  expect(isRetriable("MESSAGE_TOO_LARGE")).toBe(false);
});

test("names are told from other error codes, inherited properties among them", () => {
  expect(isErrorName("CORRUPT_MESSAGE")).toBe(true);
  expect(isErrorName("TIMEOUT")).toBe(false);
  expect(isErrorName("toString")).toBe(false);
});

test("a protocol error takes from the table whether it may be retried", () => {
  const error = new ProtocolError("CORRUPT_MESSAGE", "bad batch", { context: { at: 7 } });
  expect(error).toBeInstanceOf(LograftError);
  expect(error).toMatchObject({
    code: "CORRUPT_MESSAGE",
    retriable: true,
    name: "ProtocolError",
    context: { at: 7 },
  });
  expect(new ProtocolError("INVALID_RECORD", "").retriable).toBe(false);
  expect(new ProtocolError("INVALID_RECORD", "", { retriable: true }).retriable).toBe(true);
});
