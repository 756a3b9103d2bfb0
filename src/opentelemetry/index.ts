/** Spans for what a client sends and processes, through the OpenTelemetry API that the application has installed. */
export { openTelemetry } from "./open-telemetry.ts";
export type { OpenTelemetryOptions } from "./open-telemetry.ts";
export { contextOfRecord } from "./record-context.ts";
