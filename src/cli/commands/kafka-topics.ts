import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { Admin, TopicDetails } from "../../client/index.ts";
import { ProtocolError } from "../../model/error-code.ts";
import { requiredInSync } from "../../model/insync.ts";
import { collect, parseInteger, parsePairs } from "../arguments.ts";
import type { CliContext, CliEnvironment } from "../context.ts";
import { runKafkaCommand } from "../kafka-client-config.ts";
import { kafkaCommand, oneAction, required, topicPattern } from "../kafka-flags.ts";

interface TopicsOptions {
  readonly create?: boolean;
  readonly list?: boolean;
  readonly describe?: boolean;
  readonly delete?: boolean;
  readonly alter?: boolean;
  readonly topic?: string;
  readonly partitions?: string;
  readonly replicationFactor?: string;
  readonly config: readonly string[];
  readonly ifNotExists?: boolean;
  readonly ifExists?: boolean;
  readonly excludeInternal?: boolean;
  readonly underReplicatedPartitions?: boolean;
  readonly unavailablePartitions?: boolean;
  readonly underMinIsrPartitions?: boolean;
  readonly atMinIsrPartitions?: boolean;
  readonly topicsWithOverrides?: boolean;
}

const ACTIONS = ["create", "list", "describe", "delete", "alter"] as const;

/** `lograft kafka-topics`: Kafka's flags, and its output. */
export function addKafkaTopicsCommand(program: Command, environment: CliEnvironment): void {
  kafkaCommand(program, "kafka-topics")
    .description("topics by the flags of Kafka's tool: --create, --list, --describe, --alter or --delete")
    .option("--create", "create a topic")
    .option("--list", "the names")
    .option("--describe", "partitions and changed settings")
    .option("--alter", "change the number of partitions")
    .option("--delete", "delete topics, without a question")
    .option("--topic <topic>", "the name; a regular expression but with --create")
    .option("--partitions <n>", "of a new topic, or what --alter raises it to")
    .option("--replication-factor <n>", "of a new topic")
    .option("--config <key=value>", "a setting of a new topic; repeat for more", collect, [])
    .option("--if-not-exists", "do not fail when it is there already")
    .option("--if-exists", "do not fail when it is not there")
    .option("--exclude-internal", "without the internal ones")
    .option("--under-replicated-partitions", "describe only partitions with replicas out of sync")
    .option("--unavailable-partitions", "describe only partitions without a leader")
    .option(
      "--under-min-isr-partitions",
      "describe only partitions with fewer in sync than min.insync.replicas",
    )
    .option("--at-min-isr-partitions", "describe only partitions with just as many in sync as that")
    .option("--topics-with-overrides", "describe only topics with settings of their own, without partitions")
    .action(async (options: TopicsOptions, command: Command) => {
      await runKafkaCommand(command, environment, [], (context) => run(context, options));
    });
}

async function run(context: CliContext, options: TopicsOptions): Promise<void> {
  const action = oneAction(options, ACTIONS);
  const admin = context.client.admin();
  switch (action) {
    case "create":
      await create(context, admin, options);
      return;
    case "list":
      for (const name of await namesOf(admin, options)) context.output.line(name);
      return;
    case "describe":
      await describe(context, admin, options);
      return;
    case "delete": {
      required(options.topic, "--topic", "--delete");
      const names = await namesOf(admin, options);
      if (names.length > 0) await admin.deleteTopics(names);
      return;
    }
    case "alter":
      await alter(admin, options);
  }
}

async function create({ output }: CliContext, admin: Admin, options: TopicsOptions): Promise<void> {
  const name = required(options.topic, "--topic", "--create");
  const { partitions, replicationFactor } = options;
  const topic = {
    name,
    configs: parsePairs(options.config, "--config"),
    ...(partitions === undefined ? {} : { partitions: parseInteger(partitions, "--partitions", 1) }),
    ...(replicationFactor === undefined
      ? {}
      : { replicationFactor: parseInteger(replicationFactor, "--replication-factor", 1) }),
  };
  const [outcome] = await admin.createTopics([topic], { throwOnError: false });
  const error = outcome?.error;
  if (error?.code === "TOPIC_ALREADY_EXISTS" && options.ifNotExists === true) return;
  if (error !== undefined) throw error;
  output.line(`Created topic ${name}.`);
}

async function alter(admin: Admin, options: TopicsOptions): Promise<void> {
  required(options.topic, "--topic", "--alter");
  const total = parseInteger(required(options.partitions, "--partitions", "--alter"), "--partitions", 1);
  if (options.config.length > 0) {
    throw operationError("INVALID_ARGUMENT", "--config goes with --create; use: lograft topic alter-config");
  }
  for (const name of await namesOf(admin, options)) await admin.createPartitions(name, total);
}

/** The topics that --topic means, or all, by name. @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION. */
async function namesOf(admin: Admin, options: TopicsOptions): Promise<string[]> {
  const { topic, excludeInternal = false, ifExists = false, list = false } = options;
  const pattern = topic === undefined ? undefined : topicPattern(topic, "--topic");
  const topics = await admin.listTopics({ includeInternal: !excludeInternal });
  const names = topics.map(({ name }) => name).filter((name) => pattern === undefined || pattern.test(name));
  if (names.length === 0 && topic !== undefined && !ifExists && !list) {
    throw new ProtocolError("UNKNOWN_TOPIC_OR_PARTITION", `Topic '${topic}' does not exist as expected`);
  }
  return names.sort();
}

async function describe({ output }: CliContext, admin: Admin, options: TopicsOptions): Promise<void> {
  const names = await namesOf(admin, options);
  if (names.length === 0) return;
  const isFiltered = isFilter(options);
  for (const topic of await admin.describeTopics(names)) {
    const setting = Number(topic.configs.find(({ name }) => name === "min.insync.replicas")?.value ?? 0);
    if (options.topicsWithOverrides === true) {
      if (topic.configs.some(({ source }) => source === "topic")) output.line(headOf(topic));
      continue;
    }
    if (!isFiltered) output.line(headOf(topic));
    for (const { partition, leaderId, replicas, isr } of topic.partitions) {
      const minIsr = requiredInSync(setting, replicas.length);
      if (options.underReplicatedPartitions === true && isr.length >= replicas.length) continue;
      if (options.unavailablePartitions === true && leaderId >= 0) continue;
      if (options.underMinIsrPartitions === true && isr.length >= minIsr) continue;
      if (options.atMinIsrPartitions === true && isr.length !== minIsr) continue;
      const leader = leaderId < 0 ? "none" : String(leaderId);
      const parts = [
        `Topic: ${topic.name}`,
        `Partition: ${partition}`,
        `Leader: ${leader}`,
        `Replicas: ${replicas.join(",")}`,
        `Isr: ${isr.join(",")}`,
      ];
      output.line(`\t${parts.join("\t")}`);
    }
  }
}

function isFilter(options: TopicsOptions): boolean {
  const { underReplicatedPartitions, unavailablePartitions, underMinIsrPartitions, atMinIsrPartitions } =
    options;
  return [
    underReplicatedPartitions,
    unavailablePartitions,
    underMinIsrPartitions,
    atMinIsrPartitions,
  ].includes(true);
}

function headOf({ name, topicId, partitions, configs }: TopicDetails): string {
  const changed = configs
    .filter(({ source }) => source === "topic")
    .map(({ name: key, value }) => `${key}=${value}`);
  return [
    `Topic: ${name}`,
    `TopicId: ${topicId}`,
    `PartitionCount: ${partitions.length}`,
    `ReplicationFactor: ${partitions[0]?.replicas.length ?? 0}`,
    `Configs: ${changed.join(",")}`,
  ].join("\t");
}
