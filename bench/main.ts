/*
 * npm run bench [-- broker | cluster | metadata | replica-wire] [options]: what one broker carries (the default), what
 * three carry that replicate, what a change of the metadata costs on three, or how fast a leader's data reach a follower.
 * The options are those of the file that is run.
 */
const suites: Readonly<Record<string, () => Promise<unknown>>> = {
  broker: () => import("./run.ts"),
  cluster: () => import("./cluster.ts"),
  metadata: () => import("./metadata.ts"),
  "replica-wire": () => import("./replica-wire.ts"),
};
const named = process.argv[2] ?? "";
const suite = Object.hasOwn(suites, named) ? suites[named] : undefined;
if (suite !== undefined) process.argv.splice(2, 1);
await(suite ?? suites["broker"])?.();
