import { operationError } from "../base/errors.ts";
import { validateTopicName } from "../model/topic-partition.ts";
import { DEFAULT_MAX_INFLATED_BYTES } from "../model/record-reader.ts";
import type {
  AssignmentSpec,
  CommitPace,
  ConsumerOptions,
  GroupOptions,
  ResolvedConsumerOptions,
} from "./consumer-types.ts";
import { within } from "./producer-types.ts";

/** Bound of the brokers for group ids, and for instance ids. */
const MAX_ID_LENGTH = 249;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** `rack`: the client's, empty: not known. @throws LograftError INVALID_ARGUMENT. */
export function resolveConsumerOptions(options: ConsumerOptions, rack: string): ResolvedConsumerOptions {
  const group = resolveGroupOptions(options);
  const assign = group === undefined ? resolveAssign(options) : [];
  const readFrom = options.readFrom ?? "leader";
  if (readFrom === "closest" && rack === "") {
    throw operationError(
      "INVALID_ARGUMENT",
      'readFrom is "closest", but the client does not know where it is: give the client its rack',
    );
  }
  const maxMessageBytes = within("maxMessageBytes", options.maxMessageBytes ?? 1 << 20, 64 * 1024, 16 << 20);
  return {
    group,
    assign,
    maxMessageBytes,
    maxPrefetchBytes: within(
      "maxPrefetchBytes",
      options.maxPrefetchBytes ?? 32 << 20,
      maxMessageBytes,
      Number.MAX_SAFE_INTEGER,
    ),
    minBytes: within("minBytes", options.minBytes ?? 0, 0, 2 ** 31),
    maxWaitMs: within("maxWaitMs", options.maxWaitMs ?? 500, 0, 2 ** 31),
    readFrom,
    isReadCommitted: options.isolation === "read_committed",
    autoOffsetReset: options.autoOffsetReset ?? "earliest",
    checkCrcs: options.checkCrcs ?? true,
    maxInflatedBytes: options.maxInflatedBytes ?? DEFAULT_MAX_INFLATED_BYTES,
    stalledAfterMs: within("stalledAfterMs", options.stalledAfterMs ?? 30_000, 1, 2 ** 31),
  };
}

function resolveAssign({ assign = [], topics = [], from = "beginning" }: ConsumerOptions): AssignmentSpec[] {
  const specs = [...assign];
  for (const topic of topics) {
    if (typeof topic === "string") specs.push({ topic, from });
    else
      throw operationError(
        "INVALID_ARGUMENT",
        `the pattern ${String(topic)} needs a groupId: groups take patterns`,
      );
  }
  if (specs.length > 0) return specs;
  throw operationError("INVALID_ARGUMENT", "a consumer reads something: give assign or topics");
}

/** Undefined without a group. @throws LograftError INVALID_ARGUMENT. */
function resolveGroupOptions(options: ConsumerOptions): GroupOptions | undefined {
  const {
    groupId,
    instanceId,
    serverAssignor,
    assignors = [],
    groupProtocol: protocol = "consumer",
  } = options;
  if (groupId === undefined) {
    checkOnlyForGroups(options);
    return undefined;
  }
  checkId("groupId", groupId);
  if (instanceId !== undefined) checkId("instanceId", instanceId);
  if (options.from !== undefined || options.assign !== undefined) {
    const name = options.from === undefined ? "assign" : "from";
    throw refused(
      `${name} does not go with groupId: a group shares out partitions, and goes on where it was`,
    );
  }
  if (protocol === "classic" && serverAssignor !== undefined) {
    throw refused('serverAssignor is for groupProtocol "consumer"; a "classic" group takes assignors');
  }
  if (protocol === "consumer" && (assignors.length > 0 || options.sessionTimeoutMs !== undefined)) {
    const name = assignors.length > 0 ? "assignors" : "sessionTimeoutMs";
    throw refused(`${name} is for groupProtocol "classic"; the coordinator decides it for "consumer" groups`);
  }
  return {
    groupId,
    instanceId,
    ...resolveTopics(options.topics ?? []),
    protocol,
    serverAssignor,
    assignors,
    sessionTimeoutMs: within("sessionTimeoutMs", options.sessionTimeoutMs ?? 45_000, 1, MAX_TIMEOUT_MS),
    rebalanceTimeoutMs: within(
      "rebalanceTimeoutMs",
      options.rebalanceTimeoutMs ?? 300_000,
      1,
      MAX_TIMEOUT_MS,
    ),
    commit: resolvePace(options.commit ?? "after-processing"),
  };
}

function checkOnlyForGroups(options: ConsumerOptions): void {
  const names = [
    "instanceId",
    "groupProtocol",
    "serverAssignor",
    "assignors",
    "sessionTimeoutMs",
    "rebalanceTimeoutMs",
    "commit",
  ] as const;
  const name = names.find((each) => options[each] !== undefined);
  if (name !== undefined) throw refused(`${name} is for members of a group: give groupId too`);
}

function resolveTopics(given: readonly (string | RegExp)[]): Pick<GroupOptions, "topics" | "pattern"> {
  const topics = new Set<string>();
  let pattern: RegExp | undefined;
  for (const topic of given) {
    if (typeof topic !== "string") {
      if (pattern !== undefined) throw refused("a group takes one pattern; join the two with |");
      if (topic.flags !== "")
        throw refused(`the pattern ${String(topic)} has flags, which brokers do not know`);
      pattern = topic;
      continue;
    }
    const validity = validateTopicName(topic);
    if (!validity.ok) throw refused(validity.reason);
    topics.add(topic);
  }
  if (topics.size === 0 && pattern === undefined)
    throw refused("a member of a group subscribes: give topics");
  return { topics: [...topics], pattern };
}

function resolvePace(commit: CommitPace): CommitPace {
  if (typeof commit === "object") {
    return { intervalMs: within("commit.intervalMs", commit.intervalMs, 1, MAX_TIMEOUT_MS) };
  }
  // Callers without types.
  if (["after-processing", "manual"].includes(commit)) return commit;
  throw refused(`commit is ${JSON.stringify(commit)}; write "after-processing", "manual" or { intervalMs }`);
}

function checkId(name: string, value: string): void {
  if (value.length > 0 && value.length <= MAX_ID_LENGTH) return;
  throw refused(`${name} has ${value.length} characters; it needs 1 to ${MAX_ID_LENGTH}`);
}

function refused(text: string): Error {
  return operationError("INVALID_ARGUMENT", text);
}
