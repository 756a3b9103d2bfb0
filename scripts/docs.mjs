#!/usr/bin/env node
import { readFileSync, writeFileSync } from "node:fs";
import { Writable } from "node:stream";
import { EXIT_MEANINGS } from "../src/cli/exit-codes.ts";
import { buildProgram } from "../src/cli/program.ts";
import { brokerConfigDocs, topicConfigDocs } from "../src/model/configs.ts";
import { ERROR_CODES, isRetriable } from "../src/model/error-code.ts";
import { KAFKA_METRICS, METRICS } from "../src/model/metric-table.ts";
import { operationAdvice, protocolAdvice } from "./lib/error-advice.mjs";
import { SetupError, inProject, say } from "./lib/project.mjs";

/*
 * `npm run docs`: writes docs/config.md, errors.md, metrics.md and cli.md from the code they describe. `--check` writes
 * nothing and fails when one of them is not what would be written.
 */

const pages = {
  "docs/cli.md": cliPage,
  "docs/config.md": configPage,
  "docs/errors.md": errorsPage,
  "docs/metrics.md": metricsPage,
};
const NOTE = "<!-- Made by `npm run docs` from the code; do not edit. -->";

try {
  const isCheck = process.argv.includes("--check");
  const stale = [];
  for (const [path, make] of Object.entries(pages)) {
    const text = await make();
    if (!update(path, `${text.trimEnd()}\n`, isCheck)) stale.push(path);
  }
  if (stale.length > 0) {
    throw new SetupError(`${stale.join(", ")}: not what the code says; run: npm run docs`);
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = 1;
}

/** Answers whether the file is right now. */
function update(path, text, isCheck) {
  let old = "";
  try {
    old = readFileSync(inProject(path), "utf8");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  if (old === text) return true;
  if (isCheck) return false;
  writeFileSync(inProject(path), text);
  say(`wrote ${path}`);
  return true;
}

function configPage() {
  const text = [
    "# Configuration",
    NOTE,
    [
      "A setting comes from, strongest first: a flag (`--set key=value`), the environment, the file (`--config`), its default.",
      "`lograft config print --source` shows what holds and where it came from. An unknown key is an error.",
    ].join("\n"),
    [
      "- **File**: `server.properties` (`key=value`), or YAML whose nesting flattens to the same dotted keys.",
      "- **Environment**: `LOGRAFT_`, then the key in capitals with `_` for `.`. The same name with `_FILE` behind it names a file that",
      "  holds the value.",
      "- **Durations** are milliseconds, or `500ms`, `10s`, `5m`, `2h`, `7d`; **sizes** are bytes, or `64KiB`, `1GiB`. `-1` is no limit where",
      "  that is allowed.",
    ].join("\n"),
    "## Broker",
    settings(brokerConfigDocs()),
    "## Topic",
    "Set with `lograft topic create -c key=value` and `lograft topic alter-config`; what a topic does not set, the broker's key decides.",
    settings(topicConfigDocs()),
  ];
  return text.join("\n\n");
}

function settings(rows) {
  return rows.map(setting).join("\n\n");
}

function setting(row) {
  const facts = [
    `${row.kind}${row.unit === "" ? "" : ` (${row.unit})`}`,
    row.default === "" ? "no default" : `default \`${row.default}\``,
    ...(row.allowed === "" ? [] : [`allowed: ${row.allowed}`]),
    ...(row.isDynamic ? ["can change while the broker runs"] : []),
    ...(row.environment === "" ? [] : [`\`${row.environment}\``]),
    `since ${row.since}`,
  ];
  return `### ${row.name}\n\n${row.description}\n\n${facts.join(" · ")}`;
}

function errorsPage() {
  const names = Object.keys(ERROR_CODES).filter((name) => name !== "NONE");
  agree("protocolAdvice", Object.keys(protocolAdvice), names, false);
  agree("operationAdvice", Object.keys(operationAdvice), operationCodes(), true);
  const answered = names.filter((name) => name in protocolAdvice);
  const others = names.filter((name) => !(name in protocolAdvice));
  return [
    "# Errors",
    NOTE,
    [
      "Every error of the SDK has a `code`, which is stable, and a message, which is not. `retriable` says that the same call may",
      "succeed later, unchanged; the SDK has then retried already until its own deadline. Errors of records say in `outcome` whether",
      "the record may be in the log (`unknown`) or is not (`failed`).",
    ].join("\n"),
    "## Answers of a broker",
    "Names and numbers are Kafka's. These are the ones that this version gives:",
    table(
      ["Code", "Number", "Retriable", "What to do"],
      answered.map((name) => [
        `\`${name}\``,
        ERROR_CODES[name],
        yes(isRetriable(name)),
        protocolAdvice[name],
      ]),
    ),
    "The others are reserved for what is to come, and for clients that speak to Kafka's brokers too:",
    table(
      ["Code", "Number", "Retriable"],
      others.map((name) => [`\`${name}\``, ERROR_CODES[name], yes(isRetriable(name))]),
    ),
    "## Failures of operations",
    table(
      ["Code", "What to do"],
      operationCodes().map((name) => [`\`${name}\``, operationAdvice[name]]),
    ),
    "Exit codes of the commands are in [cli.md](cli.md#exit-codes).",
  ].join("\n\n");
}

function metricsPage() {
  return [
    "# Health and metrics",
    NOTE,
    [
      "With `http.port` a broker has an HTTP port. It is plain text and asks nobody who they are: keep it inside your network.",
      "Probes and Prometheus are its clients; deploy/ uses port 8080.",
    ].join("\n"),
    "## Health",
    table(
      ["Page", "200 when, else 503"],
      [
        [
          "`/livez`",
          "the process answers. Says nothing of recovery, quorum and disks: a restart would only set them back",
        ],
        ["`/startupz`", "the logs are recovered and the metadata quorum has started"],
        [
          "`/readyz`",
          "the broker has joined, its metadata is caught up, it hears the controller, and it is not stopping",
        ],
        [
          "`/healthz`",
          "the same; `/healthz?verbose` has each check as JSON, those too that readiness does not depend on",
        ],
      ],
    ),
    [
      "A drained broker is ready: it serves what it has. A full disk leaves it ready too; the check `disk` and",
      "`lograft_disk_degraded` tell of it. In a container: `lograft cluster health --local --ready` asks the broker beside it and",
      "ends with 0 or 8 (6 when nothing answers).",
    ].join("\n"),
    "## /metrics",
    [
      "In the text format of Prometheus. Gathered when it is asked for; while one scrape runs, others share it. Who scrapes all",
      "brokers and adds up should know which metrics each broker has of its own, and which all brokers have alike: it is said there.",
    ].join("\n"),
    metricTable(METRICS),
    "## /metrics/kafka",
    [
      "The names of kafka_exporter, so that dashboards made for it work. Scrape all brokers: each series comes from one of them,",
      "that of a partition from its leader, that of a group from its coordinator, the rest from the active controller.",
    ].join("\n"),
    metricTable(KAFKA_METRICS),
  ].join("\n\n");
}

function metricTable(metrics) {
  return table(
    ["Metric", "Type", "Labels", "Means"],
    Object.entries(metrics).map(([name, { type, labels, help }]) => [
      `\`${name}\``,
      type,
      labels.join(", "),
      help,
    ]),
  );
}

/** The members of the union `OperationErrorCode`, which leaves nothing behind at run time. */
function operationCodes() {
  const source = readFileSync(inProject("src/base/errors.ts"), "utf8");
  const union = /export type OperationErrorCode =([^;]+);/.exec(source)?.[1] ?? "";
  return Array.from(union.matchAll(/"([A-Z_]+)"/g), (match) => match[1]);
}

function agree(what, given, known, isWhole) {
  const strange = given.filter((name) => !known.includes(name));
  const missing = isWhole ? known.filter((name) => !given.includes(name)) : [];
  if (strange.length + missing.length === 0) return;
  const file = "scripts/lib/error-advice.mjs";
  throw new SetupError(
    `${file}: ${what} has to name ${missing.join(", ") || "nothing more"}, and not ${strange.join(", ") || "less"}`,
  );
}

async function cliPage() {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const program = await buildProgram({
    env: {},
    stdout: silent,
    stderr: silent,
    stdin: process.stdin,
    signal: new AbortController().signal,
    exit: () => undefined,
  });
  const commands = leavesOf(program);
  return [
    "# Commands",
    NOTE,
    [
      "`lograft COMMAND --help` says the same. Data goes to stdout, everything else to stderr. With `--json` the output is JSON of a",
      "stable shape; offsets, timestamps and other 64-bit values are decimal strings in it.",
    ].join("\n"),
    table(
      ["Command", "Does"],
      commands.map((command) => [
        `[\`${nameOf(command)}\`](#${nameOf(command).replaceAll(" ", "-")})`,
        command.description(),
      ]),
    ),
    "Durations are written `500ms`, `10s`, `5m`, `2h`, `7d`; sizes `512`, `64KiB`, `1MB`.",
    "## Options of the commands that ask a broker",
    "Before or after the command.",
    options(program, new Set(["--version"])),
    ...commands.flatMap((command) => commandText(command, program)),
    "## Exit codes",
    table(["Code", "Means"], Object.entries(EXIT_MEANINGS)),
  ].join("\n\n");
}

function leavesOf(command) {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
}

function nameOf(command) {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

function commandText(command, program) {
  const shared = new Set(program.options.map((option) => option.long));
  const asksBroker = command.options.some((option) => option.long === "--bootstrap-server");
  const own = options(command, asksBroker ? shared : new Set());
  const names = command.registeredArguments.map((argument) => {
    const shown = `${argument.name().toUpperCase()}${argument.variadic ? "..." : ""}`;
    return argument.required ? shown : `[${shown}]`;
  });
  return [
    `## ${nameOf(command)}`,
    `\`${[nameOf(command), ...names].join(" ")}\`: ${command.description()}.`,
    ...(own === "" ? [] : [own]),
    ...(asksBroker ? ["And the options of the commands that ask a broker."] : []),
  ];
}

function options(command, without) {
  const shown = command.options.filter((option) => !without.has(option.long));
  if (shown.length === 0) return "";
  return table(
    ["Option", "Means", "Default"],
    shown.map((option) => [
      `\`${option.flags}\``,
      `${option.description}${option.mandatory ? " (required)" : ""}`,
      typeof option.defaultValue === "string" ? `\`${option.defaultValue}\`` : "",
    ]),
  );
}

function yes(value) {
  return value ? "yes" : "";
}

/** In aligned columns, as the formatter would leave it. */
function table(titles, rows) {
  const all = [titles, ...rows].map((cells) => cells.map((cell) => String(cell).replaceAll("|", "\\|")));
  const widths = titles.map((_title, column) => Math.max(3, ...all.map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(all[0]), rule, ...all.slice(1).map(line)].join("\n");
}
