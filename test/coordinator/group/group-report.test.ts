import { expect, test } from "vitest";
import { silentLogger, type LogFields, type Logger } from "../../../src/base/logger.ts";
import { groupRecordCodec } from "../../../src/coordinator/group/group-record-codec.ts";
import type { GroupRecord } from "../../../src/coordinator/group/group-records.ts";
import { reportingCodec } from "../../../src/coordinator/group/group-report.ts";

const offset: GroupRecord = {
  type: "offset",
  groupId: "g",
  topic: "t",
  partition: 0,
  value: { offset: 1, leaderEpoch: 0, metadata: "", commitTimestampMs: 0, topicId: undefined },
};

function linesOf(records: readonly GroupRecord[]): (readonly [string, string, LogFields | undefined])[] {
  const lines: (readonly [string, string, LogFields | undefined])[] = [];
  const logger: Logger = {
    ...silentLogger,
    debug: (message, fields) => void lines.push(["debug", message, fields]),
    info: (message, fields) => void lines.push(["info", message, fields]),
  };
  const codec = reportingCodec(groupRecordCodec, logger);
  for (const record of records) {
    expect(codec.encode(record)).toEqual(groupRecordCodec.encode(record));
  }
  return lines;
}

test("a commit leaves no line", () => {
  expect(linesOf([offset, { ...offset, value: null }])).toEqual([]);
});

test("a group's epoch, a member's end and a group's end each leave one", () => {
  expect(linesOf([{ type: "consumerGroup", groupId: "g", value: { epoch: 4 } }])).toEqual([
    ["info", "a group has another epoch", { groupId: "g", epoch: 4 }],
  ]);
  expect(linesOf([{ type: "member", groupId: "g", memberId: "m", value: null }])).toEqual([
    ["info", "a member is gone", { groupId: "g", memberId: "m" }],
  ]);
  expect(linesOf([{ type: "consumerGroup", groupId: "g", value: null }])).toEqual([
    ["info", "a group is gone", { groupId: "g" }],
  ]);
});

test("what follows from an epoch leaves none of its own", () => {
  const target: GroupRecord = { type: "targetEpoch", groupId: "g", value: { assignmentEpoch: 4 } };
  expect(linesOf([target])).toEqual([]);
});
