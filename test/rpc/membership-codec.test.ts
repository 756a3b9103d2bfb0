import { describe, expect, test } from "vitest";

import {
  decodeHeartbeatRequest,
  decodeHeartbeatResponse,
  encodeHeartbeatRequest,
  encodeHeartbeatResponse,
} from "../../src/rpc/membership-codec.ts";

describe("membership codec", () => {
  test("what a member leaves out stays out, which is not the same as empty", () => {
    const first = decodeHeartbeatRequest(
      encodeHeartbeatRequest({ groupId: "g", memberId: "m", memberEpoch: -1, clientId: "c" }),
    );
    expect(first).toMatchObject({ groupId: "g", memberId: "m", memberEpoch: -1, clientId: "c" });
    expect(first.subscribedTopics ?? undefined).toBeUndefined();
    expect(first.owned ?? undefined).toBeUndefined();
    expect(first.rebalanceTimeoutMs).toBeUndefined();
    expect(first.subscribedTopicRegex).toBeUndefined();
    const second = decodeHeartbeatRequest(
      encodeHeartbeatRequest({ subscribedTopics: { names: [] }, owned: { topics: [] }, instanceId: "" }),
    );
    expect(second.subscribedTopics).toEqual({ names: [] });
    expect(second.owned).toEqual({ topics: [] });
    expect(second.instanceId).toBe("");
  });

  test("an answer comes back as it was", () => {
    const topicId = Buffer.alloc(16, 7);
    const response = {
      errorCode: 25,
      errorMessage: "who",
      memberId: "m",
      memberEpoch: 3,
      heartbeatIntervalMs: 5000,
      assignment: { topics: [{ topicId, topic: "t", partitions: [0, 2] }] },
      heartbeatNow: true,
    };
    expect(decodeHeartbeatResponse(encodeHeartbeatResponse(response))).toEqual(response);
  });

  test("bytes that are no message are a typed error", () => {
    const garbage = Buffer.from([0x0f]);
    expect(() => decodeHeartbeatRequest(garbage)).toThrow(
      expect.objectContaining({ code: "SERIALIZATION_FAILED" }),
    );
    expect(() => decodeHeartbeatResponse(garbage)).toThrow(
      expect.objectContaining({ code: "SERIALIZATION_FAILED" }),
    );
  });
});
