/* What docs/errors.md says to do about each error that this version raises. The names are checked against the code. */

/** Answers of a broker, by Kafka's names. */
export const protocolAdvice = {
  UNKNOWN_SERVER_ERROR: "A fault in the broker: its log says more. Report it.",
  OFFSET_OUT_OF_RANGE:
    "The offset is before the first record or behind the last. `lograft topic offsets TOPIC` shows both; the consumer's `autoOffsetReset` decides what it does.",
  CORRUPT_MESSAGE:
    "A batch does not match its checksum. On the way: the retry heals it. From the disk: `lograft log verify`.",
  UNKNOWN_TOPIC_OR_PARTITION: "Create the topic, or check the spelling and the number of the partition.",
  LEADER_NOT_AVAILABLE: "Nobody leads the partition at the moment. The SDK tries again.",
  NOT_LEADER_OR_FOLLOWER: "The partition has moved. The SDK asks for the new leader and tries again.",
  REQUEST_TIMED_OUT:
    "The broker did not finish in time. A write may have been made: see `error.outcome`. Raise the timeout, or look at the broker's disk.",
  MESSAGE_TOO_LARGE:
    "A record or batch is over `max.message.bytes` of the topic or `maxRequestBytes` of the producer. Raise the one that the message names, or write less.",
  NETWORK_EXCEPTION: "The connection broke. The SDK tries again.",
  INVALID_TOPIC_EXCEPTION:
    "A topic name has 1 to 249 of `a-z A-Z 0-9 . _ -`, is not `.` or `..`, and does not differ from another one only in `.` and `_`.",
  RECORD_LIST_TOO_LARGE: "A batch is larger than a segment. Raise `segment.bytes`, or make smaller batches.",
  NOT_ENOUGH_REPLICAS:
    "Fewer replicas are in sync than `min.insync.replicas`. Nothing was written; the SDK tries again.",
  NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    "The record is in the log of the leader, but too few replicas have it. A retry of an idempotent producer does not double it.",
  INVALID_REQUIRED_ACKS: "`acks` is -1 (all), 0 or 1.",
  CLUSTER_AUTHORIZATION_FAILED: "The user may not do this to the cluster.",
  INVALID_TIMESTAMP:
    "The time of a record is outside `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` of the topic. Check the clock of the producer.",
  UNSUPPORTED_VERSION: "Client and broker have no version in common. Update the older one.",
  TOPIC_ALREADY_EXISTS: "Take another name, or say `--if-not-exists`.",
  INVALID_PARTITIONS: "The number of partitions is below 1, or not above what the topic has.",
  INVALID_REPLICATION_FACTOR: "More replicas are wanted than there are brokers.",
  INVALID_CONFIG:
    "The message names the key, the value and what is allowed; all keys are in [config.md](config.md).",
  INVALID_REQUEST: "The request contradicts itself; the message says where. With the SDK: report it.",
  OUT_OF_ORDER_SEQUENCE_NUMBER:
    "A batch of an idempotent producer is missing before this one. The SDK resolves it; other clients make a new producer.",
  DUPLICATE_SEQUENCE_NUMBER: "The batch is in the log already. The SDK counts it as written.",
  INVALID_PRODUCER_EPOCH: "A newer producer took over this producer id. Make a new producer.",
  INVALID_TXN_STATE: "Transactions are not part of this version.",
  KAFKA_STORAGE_ERROR:
    "The log is offline after a failed write, sync or check. Look at the disk and at the broker's log, then restart the broker, which verifies the log.",
  UNKNOWN_PRODUCER_ID: "The broker has forgotten this producer. The SDK takes a new id.",
  FENCED_LEADER_EPOCH: "The client's picture of the cluster is old. The SDK refreshes it and tries again.",
  UNKNOWN_LEADER_EPOCH: "The broker's picture of the cluster is old. The SDK tries again.",
  UNSUPPORTED_COMPRESSION_TYPE: "The codec is none of none, gzip, snappy, lz4 and zstd.",
  UNSUPPORTED_FOR_MESSAGE_FORMAT: "The batch is of an older format; only record batch v2 is taken.",
  INVALID_RECORD: "The batch contradicts itself or the rules of its topic; the message says where.",
  THROTTLING_QUOTA_EXCEEDED:
    "The broker has too much to do for this. Try again a little later; the SDK does.",
  UNKNOWN_TOPIC_ID: "The topic was deleted, or created anew under its name. Ask for metadata again.",
  INCONSISTENT_TOPIC_ID:
    "A directory belongs to another topic of the same name. The broker leaves it alone; move it away.",
  INCONSISTENT_CLUSTER_ID: "The address leads to another cluster than before. Check the list of brokers.",
  OFFSET_METADATA_TOO_LARGE:
    "The note beside a committed offset is longer than `offset.metadata.max.bytes` of the broker. Shorten it, or raise the limit.",
  COORDINATOR_LOAD_IN_PROGRESS:
    "The coordinator has just taken the group over and reads what it committed. The SDK tries again; it takes seconds at most.",
  COORDINATOR_NOT_AVAILABLE:
    "Nobody leads the part of `__consumer_offsets` that the group is in. The SDK tries again; if it stays: `lograft cluster health`.",
  NOT_COORDINATOR: "The group has moved to another broker. The SDK asks which one and tries again.",
  ILLEGAL_GENERATION:
    "The group was rebalanced since this member got its generation, so its commit does not count. The SDK joins again; who has the partition now does the work again.",
  INCONSISTENT_GROUP_PROTOCOL:
    "The group works by assignors, a kind of protocol or a group protocol that this member does not offer. Give all members the same; to change it, stop all of them first.",
  INVALID_GROUP_ID: "A group id has 1 to 249 characters. Choose another one.",
  UNKNOWN_MEMBER_ID:
    "The group has no such member: it was silent for longer than its session, or was removed, or a commit came from none while others are at work. The SDK joins again; `lograft group describe GROUP --members` shows who is there.",
  INVALID_SESSION_TIMEOUT:
    "The session timeout of a member is outside `group.min.session.timeout.ms` and `group.max.session.timeout.ms` of the broker. Change either.",
  REBALANCE_IN_PROGRESS:
    "The members of the group are meeting. The SDK joins them and goes on; a commit is to be made again after that.",
  MEMBER_ID_REQUIRED:
    "The first half of a join: the answer has the id with which to join again. The SDK does.",
  GROUP_MAX_SIZE_REACHED:
    "The group has as many members, or its members say as much, or the broker has as many groups, as may be. The message names the setting, such as `group.max.size`.",
  FENCED_INSTANCE_ID:
    "Another member has taken this static name (`instanceId`). Two living members may not share one: give each its own, and stop this one.",
  GROUP_SUBSCRIBED_TO_TOPIC:
    "Members of the group read the topic, so its offsets stay. Stop them first, then delete the offsets.",
  NON_EMPTY_GROUP:
    "The group has members at work, which would undo the change. Stop them all (`lograft group describe GROUP --members` shows them), then try again.",
  GROUP_ID_NOT_FOUND:
    "The group was never used, is deleted, or its offsets have expired (`offsets.retention.minutes`). `lograft group list` shows those that are there.",
  FENCED_MEMBER_EPOCH:
    "The member is not what it says: its epoch is not that of the group, or the partition belongs to another member. The SDK gives up what it has and joins again.",
  UNRELEASED_INSTANCE_ID:
    "Another living member has this static name (`instanceId`). Stop that one, or wait until its session is over; or give this one a name of its own.",
  UNSUPPORTED_ASSIGNOR:
    "The broker has no assignor of this name. The message lists those that there are; `serverAssignor` of the consumer chooses.",
  STALE_MEMBER_EPOCH:
    "The assignment of the member has changed since it made its commit. The SDK commits again with what it has by now.",
  INVALID_REGULAR_EXPRESSION:
    "The pattern of a subscription cannot be read; the message says where. Brokers know the syntax of RE2, without references and look-around.",
  NOT_CONTROLLER:
    "The controller has moved to another broker. The SDK asks again; if it stays: `lograft cluster quorum`.",
  OFFSET_NOT_AVAILABLE:
    "A new leader does not know yet what is committed, or a follower is not so far. The SDK tries again.",
  INVALID_UPDATE_VERSION:
    "There is no such feature or level, or it would be lowered. `lograft features describe` shows what there is.",
  FEATURE_UPDATE_FAILED:
    "Some brokers cannot work with the level; the message names them. Update them, or unregister those that are gone for good.",
  BROKER_ID_NOT_REGISTERED: "The cluster has no such broker. `lograft node list` shows those that there are.",
  DUPLICATE_BROKER_REGISTRATION:
    "A running broker has this `node.id`. Stop that one, or give this one another id.",
  INVALID_REGISTRATION:
    "The `node.id` belongs to another data directory. Give this broker another id, or forget the old one with `lograft node unregister`.",
  INVALID_REPLICA_ASSIGNMENT:
    "The partition cannot be on these brokers; the message says why. `lograft node list` shows those that there are.",
  REASSIGNMENT_IN_PROGRESS:
    "The partition is on its way already. Wait (`lograft partitions status`), or call that back (`lograft partitions cancel`).",
  NO_REASSIGNMENT_IN_PROGRESS: "The partition does not move. `lograft partitions status` shows what does.",
  ELECTION_NOT_NEEDED: "The preferred replica leads already. Nothing to do.",
  PREFERRED_LEADER_NOT_AVAILABLE:
    "The preferred replica is not in sync or does not run. Start its broker and wait until it has caught up.",
};

/** Failures of operations, in the SDK, the CLI or the start of a broker. */
export const operationAdvice = {
  ABORTED: "The caller's signal fired, or a question was not agreed to. Nothing to do.",
  ADDRESS_IN_USE:
    "Another process listens there. Stop it, or take another port: `--set listeners=CLIENT://:9192`.",
  BUFFER_EXHAUSTED: "More is waiting than may. Await what was sent, or use `enqueue` with `drained`.",
  CLOSED: "The client, producer, consumer or broker was closed before. Make a new one.",
  CONFIG_INVALID:
    "The message names each setting, where it was set, and what is allowed. `lograft config print --source` shows all.",
  CONNECTION_FAILED:
    "Nobody answers. Is the broker running, is the address right, does a firewall stand between?",
  DATA_DIR_LOCKED: "Another broker uses the data directory. Stop it, or take another directory.",
  DATA_DIR_VERSION:
    "The data directory was written by another version of lograft. Run that version, or update.",
  DECOMPRESSION_FAILED: "A compressed batch cannot be inflated: damage, or a bomb.",
  DELIVERY_TIMEOUT:
    "A record was not acknowledged in time, all retries included. `error.outcome` says whether it may have been written.",
  DISK_FULL: "Make room. The log goes on by itself when there is space again.",
  DISK_READ_FAILED:
    "The file cannot be read: permissions, or a failing disk. The cause has the system's error.",
  DISK_SYNC_FAILED:
    "The disk did not confirm a write. The log is offline until a restart, which verifies it.",
  DISK_WRITE_FAILED:
    "The file cannot be written: permissions, or a failing disk. The cause has the system's error.",
  INVALID_ARGUMENT: "The message names the argument and what is allowed.",
  LOG_CORRUPT:
    "A file of a log is damaged below what was acknowledged. `lograft log verify` shows where; nothing is cut.",
  LOG_OFFLINE: "The log takes nothing after a failure of its disk. Restart the broker when the disk is well.",
  METADATA_CORRUPT:
    "The metadata cannot be trusted, so the broker does not start. Restore the directory from a backup.",
  NO_QUORUM:
    "No controller took the change: too few voters run or reach each other. Start them; see lograft cluster quorum.",
  SERIALIZATION_FAILED: "A key or value cannot be encoded or decoded.",
  TIMEOUT: "Nothing came in time. Raise the timeout, or look at the broker.",
};
