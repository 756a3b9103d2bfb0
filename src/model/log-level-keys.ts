import { LOG_LEVELS } from "../base/log-levels.ts";
import { configKey, optionalConfigKey } from "./config-key.ts";
import { choiceValue, logLevelsValue } from "./config-values.ts";

/** The keys of what a broker writes into its log, by their property in the typed configuration. */
export const LOG_LEVEL_KEYS = {
  logLevel: configKey(
    "log.level",
    choiceValue(LOG_LEVELS),
    "info",
    "What is written to the log of this process: lines of this level and above. `lograft node log-level` changes it while the broker runs, until its next start.",
    { since: "0.5.0" },
  ),
  logLevels: optionalConfigKey(
    "log.levels",
    logLevelsValue(),
    "The level of single components, where it is not `log.level`.",
    { since: "0.5.0" },
  ),
} as const;
