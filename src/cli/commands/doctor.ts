import type { Command } from "commander";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { examine } from "../doctor/examine.ts";
import type { Finding } from "../doctor/finding.ts";
import { EXIT } from "../exit-codes.ts";
import { counted } from "../output.ts";
import type { Output } from "../output.ts";
import type { ConfigOptions } from "./config.ts";
import { withConfigOptions } from "./config.ts";

/** `lograft doctor`. */
export function addDoctorCommand(program: Command, environment: CliEnvironment): void {
  withConfigOptions(withGlobalOptions(program.command("doctor")))
    .description(
      "look for what is wrong with a cluster that runs (-b), or with the configuration of a broker that does not start " +
        "(--config, --set, --data-dir, or LOGRAFT_ variables); exit code 8 when a check fails",
    )
    .action(async (options: ConfigOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const isNamed = command.optsWithGlobals()["bootstrapServer"] !== undefined;
        const findings = await examine(context, options, isNamed);
        print(context.output, findings);
        if (findings.some(({ state }) => state === "failed")) environment.exit(EXIT.CHECK_FAILED);
      });
    });
}

const SHOWN_STATES = { ok: "ok", warning: "warning", failed: "FAILED" } as const;

function print(output: Output, findings: readonly Finding[]): void {
  const failed = findings.filter(({ state }) => state === "failed").length;
  const warnings = findings.filter(({ state }) => state === "warning").length;
  if (output.format === "json") {
    output.json({ isHealthy: failed === 0, failed, warnings, findings });
    return;
  }
  const width = Math.max(...findings.map(({ check }) => check.length));
  for (const { state, check, about, found, next } of findings) {
    const advice = next === "" ? "" : `; ${next}`;
    output.line(`${SHOWN_STATES[state].padEnd(7)}  ${check.padEnd(width)}  ${about}: ${found}${advice}`);
  }
  output.line(
    failed + warnings === 0
      ? `${counted(findings.length, "check")}, all well`
      : `${counted(findings.length, "check")}: ${failed} failed, ${counted(warnings, "warning")}`,
  );
}
