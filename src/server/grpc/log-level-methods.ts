import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger } from "../../base/logger.ts";
import type { LogLevelsRequest, LogLevelsResponse } from "../../rpc/admin-messages.ts";
import type { LogLevelControl } from "../log-level-control.ts";
import { unary } from "./unary.ts";

/** The part of `AdminService` about this broker's own log. */
export function logLevelMethods(deps: {
  readonly nodeId: number;
  readonly logLevels: LogLevelControl;
  readonly logger: Logger;
}): UntypedServiceImplementation {
  const { nodeId, logLevels } = deps;
  return {
    LogLevels: unary<LogLevelsRequest, LogLevelsResponse>(({ changes }, _signal, caller) => {
      logLevels.change(changes, caller);
      return { nodeId, levels: logLevels.list() };
    }, deps),
  };
}
