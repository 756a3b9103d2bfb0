import type { LogFields, Logger } from "../../base/logger.ts";
import type { RecordCodec } from "../shard.ts";
import type { GroupRecord } from "./group-records.ts";

/** The codec, which also notes in the log what decisions change about groups and their members: never a commit. */
export function reportingCodec(codec: RecordCodec<GroupRecord>, logger: Logger): RecordCodec<GroupRecord> {
  return {
    encode: (record) => {
      if (record.type !== "offset") report(record, logger);
      return codec.encode(record);
    },
    decode: (stored) => codec.decode(stored),
  };
}

function report(record: Exclude<GroupRecord, { readonly type: "offset" }>, logger: Logger): void {
  const { groupId } = record;
  switch (record.type) {
    case "consumerGroup":
      if (record.value === null) logger.info("a group is gone", { groupId });
      else logger.info("a group has another epoch", { groupId, epoch: record.value.epoch });
      return;
    case "classicGroup":
      if (record.value === null) logger.info("a group is gone", { groupId });
      else logger.info("a group has another generation", { groupId, ...classicFields(record.value) });
      return;
    case "member":
      if (record.value === null) logger.info("a member is gone", { groupId, memberId: record.memberId });
      else logger.debug("a member says who it is", { groupId, ...memberFields(record) });
      return;
    case "targetEpoch":
    case "targetMember":
    case "currentMember":
      // They follow from an epoch, which has its line.
      return;
  }
}

function classicFields({
  generation,
  leader,
  members,
}: NonNullable<Extract<GroupRecord, { readonly type: "classicGroup" }>["value"]>): LogFields {
  return { generation, members: members.length, leader };
}

function memberFields({ memberId, value }: Extract<GroupRecord, { readonly type: "member" }>): LogFields {
  return { memberId, clientId: value?.clientId, clientHost: value?.clientHost };
}
