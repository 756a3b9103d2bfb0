import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import { collect, parseInteger, parsePairs } from "../arguments.ts";
import { confirm } from "../confirm.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { addTopicOffsetCommands } from "./topic-offsets.ts";
import { printTopics } from "./topic-describe.ts";

/** `lograft topic ...`: create, list, describe, alter-config, add-partitions, offsets, trim, delete. */
export function addTopicCommands(program: Command, environment: CliEnvironment): void {
  const topic = program.command("topic").description("create, look at, change and delete topics");
  addCreate(topic, environment);
  addLooks(topic, environment);
  addChanges(topic, environment);
  addTopicOffsetCommands(topic, environment);
  addDelete(topic, environment);
}

interface CreateOptions {
  readonly partitions?: string;
  readonly replicas?: string;
  readonly config: readonly string[];
  readonly ifNotExists?: boolean;
  readonly validateOnly?: boolean;
}

function addCreate(topic: Command, environment: CliEnvironment): void {
  withGlobalOptions(topic.command("create <names...>"))
    .description("create topics")
    .option("-p, --partitions <n>", "partitions of each (default: num.partitions of the broker)")
    .option("-r, --replicas <n>", "replicas of each partition (default: default.replication.factor)")
    .option("-c, --config <key=value>", "a topic configuration; repeat for more", collect, [])
    .option("--if-not-exists", "do not fail when it is there already")
    .option("--validate-only", "check everything, create nothing")
    .action(async (names: string[], options: CreateOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await createTopics(context, names, options);
      });
    });
}

async function createTopics(
  context: CliContext,
  names: readonly string[],
  options: CreateOptions,
): Promise<void> {
  const { partitions, replicas } = options;
  const configs = parsePairs(options.config, "--config");
  const shape = {
    configs,
    ...(partitions === undefined ? {} : { partitions: parseInteger(partitions, "--partitions", 1) }),
    ...(replicas === undefined ? {} : { replicationFactor: parseInteger(replicas, "--replicas", 1) }),
  };
  const validateOnly = options.validateOnly === true;
  const outcomes = await context.client.admin().createTopics(
    names.map((name) => ({ name, ...shape })),
    { validateOnly, throwOnError: false },
  );
  const isThere = (error: { readonly code: string } | undefined): boolean =>
    error?.code === "TOPIC_ALREADY_EXISTS" && options.ifNotExists === true;
  const failures = outcomes.flatMap(({ error }) => (error === undefined || isThere(error) ? [] : [error]));
  const [failure] = failures;
  if (outcomes.length === 1 && failure !== undefined) throw failure;
  if (context.output.format === "json") {
    context.output.json(
      outcomes.map(({ name, topicId, error }) => ({
        name,
        topicId: topicId === "" ? null : topicId,
        error: error?.code ?? null,
      })),
    );
  } else {
    for (const { name, error } of outcomes) {
      if (isThere(error)) context.output.note(`${name} exists already`);
      else if (error === undefined)
        context.output.note(`${name} ${validateOnly ? "could be created" : "created"}`);
    }
  }
  for (const { message } of failures) context.output.note(`lograft: ${message}`);
  if (failures.length > 0) {
    context.environment.exit(failures.length === outcomes.length ? EXIT.FAILED : EXIT.PARTLY_FAILED);
  }
}

function addLooks(topic: Command, environment: CliEnvironment): void {
  withGlobalOptions(topic.command("list"))
    .description("list topics")
    .option("--internal", "with the internal ones")
    .action(async (options: { readonly internal?: boolean }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const topics = await context.client
          .admin()
          .listTopics({ includeInternal: options.internal === true });
        context.output.rows(
          [
            { title: "TOPIC", cell: (row) => row.name },
            { title: "PARTITIONS", cell: (row) => row.partitions, align: "right" },
            { title: "REPLICAS", cell: (row) => row.replicationFactor, align: "right" },
            { title: "ID", cell: (row) => row.topicId },
          ],
          topics,
          {
            empty: "no topics yet; create one with: lograft topic create NAME",
            toJson: ({ name, topicId, partitions, replicationFactor, isInternal }) => ({
              name,
              topicId,
              partitions,
              replicationFactor,
              isInternal,
            }),
          },
        );
      });
    });

  withGlobalOptions(topic.command("describe <names...>"))
    .description("partitions with leader, replicas, ISR, offsets and size, and the configuration")
    .action(async (names: string[], _options: object, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        printTopics(context.output, await context.client.admin().describeTopics(names));
      });
    });
}

interface AlterOptions {
  readonly set: readonly string[];
  readonly unset: readonly string[];
  readonly validateOnly?: boolean;
}

function addChanges(topic: Command, environment: CliEnvironment): void {
  withGlobalOptions(topic.command("alter-config <name>"))
    .description("change a topic's configuration")
    .option("-s, --set <key=value>", "set a key; repeat for more", collect, [])
    .option("-u, --unset <key>", "back to the default; repeat for more", collect, [])
    .option("--validate-only", "check, change nothing")
    .action(async (name: string, options: AlterOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const { unset } = options;
        const set = parsePairs(options.set, "--set");
        const validateOnly = options.validateOnly === true;
        if (Object.keys(set).length === 0 && unset.length === 0) {
          throw operationError("INVALID_ARGUMENT", "nothing to change: give --set key=value or --unset key");
        }
        await context.client.admin().alterTopicConfigs(name, { set, unset, validateOnly });
        context.output.result(`configuration of ${name} ${validateOnly ? "would be valid" : "changed"}`, {
          name,
          set,
          unset,
          validateOnly,
        });
      });
    });

  withGlobalOptions(topic.command("add-partitions <name>"))
    .description("raise the number of partitions")
    .requiredOption("-t, --total <n>", "the new number of partitions")
    .action(async (name: string, options: { readonly total: string }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const partitions = parseInteger(options.total, "--total", 1);
        await context.client.admin().createPartitions(name, partitions);
        context.output.result(
          `${name} has ${partitions} partitions now; records of a key may go to another one from here on`,
          { name, partitions },
        );
      });
    });
}

function addDelete(topic: Command, environment: CliEnvironment): void {
  withGlobalOptions(topic.command("delete <names...>"))
    .description("delete topics with all their records")
    .option("--yes", "do not ask")
    .action(async (names: string[], options: { readonly yes?: boolean }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const what = `delete ${names.join(", ")} and all records in it`;
        await confirm(context, { isAgreed: options.yes === true, what, typed: names.join(" ") });
        const deleted = await context.client.admin().deleteTopics(names);
        if (context.output.format === "json") context.output.json(deleted.map(({ name }) => ({ name })));
        else for (const { name } of deleted) context.output.note(`${name} deleted`);
      });
    });
}
