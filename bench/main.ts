/*
 * npm run bench [broker | metadata] [options]: what one broker carries (the default), or what a change of the metadata
 * costs on three. The options are those of the file that is run.
 */
const suites: Readonly<Record<string, () => Promise<unknown>>> = {
  broker: () => import("./run.ts"),
  metadata: () => import("./metadata.ts"),
};
const named = process.argv[2] ?? "";
const suite = Object.hasOwn(suites, named) ? suites[named] : undefined;
if (suite !== undefined) process.argv.splice(2, 1);
await(suite ?? suites["broker"])?.();
