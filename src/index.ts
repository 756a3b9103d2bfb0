/** The broker as a library, with the client beside it. */
export { startBroker } from "./node.ts";
export type { RunningBroker, StartBrokerOptions } from "./node.ts";
export * from "./client/index.ts";
