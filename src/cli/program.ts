import { readFileSync } from "node:fs";
import { Command } from "commander";
import { withGlobalOptions } from "./context.ts";
import type { CliEnvironment } from "./context.ts";

/** Adds one command, with what stands below it, to the program. */
type CommandAdder = (program: Command, environment: CliEnvironment) => void;

/** The commands in the order of the help. Each loads when it is needed: a broker's start should not read the producer. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandAdder>>> = {
  start: async () => (await import("./commands/start.ts")).addStartCommand,
  dev: async () => (await import("./commands/dev.ts")).addDevCommands,
  cluster: async () => (await import("./commands/cluster.ts")).addClusterCommands,
  node: async () => (await import("./commands/node.ts")).addNodeCommands,
  topic: async () => (await import("./commands/topic.ts")).addTopicCommands,
  partitions: async () => (await import("./commands/partitions.ts")).addPartitionsCommands,
  features: async () => (await import("./commands/features.ts")).addFeaturesCommands,
  produce: async () => (await import("./commands/produce.ts")).addProduceCommand,
  consume: async () => (await import("./commands/consume.ts")).addConsumeCommand,
  group: async () => (await import("./commands/group.ts")).addGroupCommands,
  log: async () => (await import("./commands/log.ts")).addLogCommands,
  doctor: async () => (await import("./commands/doctor.ts")).addDoctorCommand,
  debug: async () => (await import("./commands/debug.ts")).addDebugCommands,
  chaos: async () => (await import("./commands/chaos.ts")).addChaosCommands,
  bench: async () => (await import("./commands/bench.ts")).addBenchCommands,
  config: async () => (await import("./commands/config.ts")).addConfigCommands,
  completion: async () => (await import("./commands/completion.ts")).addCompletionCommand,
  shims: async () => (await import("./commands/shims.ts")).addShimsCommands,
  "kafka-topics": async () => (await import("./commands/kafka-topics.ts")).addKafkaTopicsCommand,
  "kafka-console-producer": async () =>
    (await import("./commands/kafka-console-producer.ts")).addKafkaConsoleProducerCommand,
  "kafka-console-consumer": async () =>
    (await import("./commands/kafka-console-consumer.ts")).addKafkaConsoleConsumerCommand,
  "kafka-consumer-groups": async () =>
    (await import("./commands/kafka-consumer-groups.ts")).addKafkaConsumerGroupsCommand,
};

/**
 * The command tree: only the command `wanted` of it when there is one of that name, else all of it, so that the help
 * and the errors are those of the whole. docs/cli.md is made from it.
 */
export async function buildProgram(environment: CliEnvironment, wanted?: string): Promise<Command> {
  const program = withGlobalOptions(new Command("lograft"))
    .description("a durable log broker of Kafka's class for Node.js")
    .version(packageVersion(), "-V, --version")
    .showHelpAfterError("(add --help to see what there is)")
    .enablePositionalOptions();
  program.configureOutput({
    writeOut: (text) => environment.stdout.write(text),
    writeErr: (text) => environment.stderr.write(text),
    outputError: (text, write) => write(text.replace(/^error: /, "lograft: ")),
    getOutHelpWidth: () => environment.stdout.columns,
    getErrHelpWidth: () => environment.stderr.columns,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  const isOne = wanted !== undefined && Object.hasOwn(COMMANDS, wanted);
  for (const [name, load] of Object.entries(COMMANDS)) {
    if (isOne && name !== wanted) continue;
    const add = await load();
    add(program, environment);
  }
  return program;
}

function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof parsed === "object" && parsed !== null && "version" in parsed
    ? String(parsed.version)
    : "unknown";
}
