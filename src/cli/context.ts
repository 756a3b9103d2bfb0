import type { Command } from "commander";
import { LograftError, operationError } from "../base/errors.ts";
import { isLograftError } from "../client/errors.ts";
import type { LograftClient } from "../client/index.ts";
import { parseDuration } from "./arguments.ts";
import type { ExitCode } from "./exit-codes.ts";
import { Output } from "./output.ts";

/** What every command that asks a broker may use. */
export interface GlobalOptions {
  readonly bootstrapServer: readonly string[];
  readonly isJson: boolean;
  readonly timeoutMs: number;
  readonly lane: "direct" | "grpc-js";
}

/** The surroundings of one run of the CLI; tests give their own. */
export interface CliEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Sets the exit code of a command that ends without an error. */
  readonly exit: (code: ExitCode) => void;
}

const DEFAULT_BOOTSTRAP = "localhost:9092";
const DEFAULT_TIMEOUT = "30s";
const LANES = ["direct", "grpc-js"] as const;
/** Failures that may mean that no broker is there. */
const UNANSWERED: ReadonlySet<string> = new Set(["CONNECTION_FAILED", "DELIVERY_TIMEOUT", "TIMEOUT"]);

/** Adds the options of the commands that ask a broker. They have no defaults here, so that a command may come before or after. */
export function withGlobalOptions(command: Command): Command {
  return command
    .option(
      "-b, --bootstrap-server <host:port,...>",
      `brokers to ask first (default: LOGRAFT_BROKERS, else ${DEFAULT_BOOTSTRAP})`,
    )
    .option("--json", "machine-readable output on stdout")
    .option(
      "--timeout <duration>",
      `for a request, or for a record with all retries (default: ${DEFAULT_TIMEOUT})`,
    )
    .option("--lane <lane>", "direct, or grpc-js for the plain gRPC library (default: direct)");
}

/** The client, the output and the options of a command. Disposing closes the client. */
export class CliContext implements AsyncDisposable {
  readonly options: GlobalOptions;
  readonly output: Output;
  readonly environment: CliEnvironment;
  readonly #Client: typeof LograftClient;
  readonly #rack: string | undefined;
  #client: LograftClient | undefined;

  private constructor(
    command: Command,
    environment: CliEnvironment,
    client: { readonly Client: typeof LograftClient; readonly rack?: string | undefined },
  ) {
    this.#Client = client.Client;
    this.#rack = client.rack;
    this.options = globalOptions(command, environment.env);
    this.environment = environment;
    this.output = new Output({
      format: this.options.isJson ? "json" : "table",
      stdout: environment.stdout,
      stderr: environment.stderr,
    });
  }

  /** Made at the first use. */
  get client(): LograftClient {
    this.#client ??= new this.#Client({
      brokers: this.options.bootstrapServer,
      clientId: "lograft-cli",
      lane: this.options.lane,
      requestTimeoutMs: this.options.timeoutMs,
      ...(this.#rack === undefined ? {} : { rack: this.#rack }),
    });
    return this.#client;
  }

  get signal(): AbortSignal {
    return this.environment.signal;
  }

  /**
   * Runs a command's work and closes what it opened. An error that says "nobody answered" comes to say who, and what to
   * do; some others get their next step. `rack`: where the client says it is. @throws LograftError INVALID_ARGUMENT for an option that cannot be.
   */
  static async run(
    command: Command,
    environment: CliEnvironment,
    work: (context: CliContext) => Promise<void>,
    client: { readonly rack?: string | undefined } = {},
  ): Promise<void> {
    // Only here: the SDK is most of what there is to load, and `start` and `dev` do without it.
    const { LograftClient: Client } = await import("../client/index.ts");
    await using context = new CliContext(command, environment, { Client, ...client });
    try {
      await work(context);
    } catch (error) {
      throw context.#explained(error);
    }
  }

  #explained(error: unknown): unknown {
    if (!isLograftError(error)) return error;
    if (error.code === "NO_QUORUM" || error.code === "NOT_CONTROLLER") {
      return withNextStep(
        error,
        "see who is missing with: lograft cluster health; wait longer with --timeout",
      );
    }
    if (error.code === "GROUP_ID_NOT_FOUND") {
      return withNextStep(error, "check the spelling; see what there is with: lograft group list");
    }
    if (!UNANSWERED.has(error.code)) return error;
    const servers = this.options.bootstrapServer.join(", ");
    const next =
      `is a broker running at ${servers}? Start one with: lograft start; ` +
      `name another with -b host:port; wait longer with --timeout`;
    return withNextStep(error, next);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.close();
  }
}

function withNextStep(error: LograftError, next: string): LograftError {
  const { code, message, retriable } = error;
  return new LograftError(code, `${message}\n${next}`, { cause: error, retriable });
}

function globalOptions(command: Command, env: Readonly<Record<string, string | undefined>>): GlobalOptions {
  const raw: Record<string, unknown> = command.optsWithGlobals();
  const servers = textOf(raw["bootstrapServer"]) ?? textOf(env["LOGRAFT_BROKERS"]) ?? DEFAULT_BOOTSTRAP;
  const laneText = textOf(raw["lane"]) ?? "direct";
  const lane = LANES.find((known) => known === laneText);
  if (lane === undefined) {
    throw operationError("INVALID_ARGUMENT", `--lane ${laneText}: there is ${LANES.join(" and ")}`);
  }
  const bootstrapServer = servers
    .split(",")
    .map((server) => server.trim())
    .filter((server) => server.length > 0);
  if (bootstrapServer.length === 0) {
    throw operationError(
      "INVALID_ARGUMENT",
      `--bootstrap-server "${servers}": write it as host:port,host:port`,
    );
  }
  const timeoutMs = parseDuration(textOf(raw["timeout"]) ?? DEFAULT_TIMEOUT, "--timeout");
  if (timeoutMs === 0)
    throw operationError("INVALID_ARGUMENT", "--timeout 0: nothing can be done in no time");
  return { bootstrapServer, isJson: raw["json"] === true, timeoutMs, lane };
}

/** A text of commander's untyped bag or of the environment; an empty one counts as not given. */
function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
