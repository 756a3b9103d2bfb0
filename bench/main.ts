/*
 * npm run bench [-- SUITE] [options]: "broker" (the default): what one broker carries; "cluster": what three carry that
 * replicate; "groups.load": how soon the coordinator of many offsets answers; "groups.failover": the same when the one
 * before was killed; "groups.idle": what many groups cost that have nothing to do; "metadata": what a change of the
 * metadata costs on three brokers; "replica-wire": how fast a leader's data reach a follower; "profile": where brokers and
 * the SDK spend their time; "peers": lograft beside Kafka and others. The options are those of the file that is run.
 */
const suites: Readonly<Record<string, () => Promise<unknown>>> = {
  broker: () => import("./run.ts"),
  cluster: () => import("./cluster.ts"),
  "groups.load": () => import("./groups-load.ts"),
  "groups.idle": () => import("./groups-idle.ts"),
  "groups.failover": () => import("./groups-failover.ts"),
  metadata: () => import("./metadata.ts"),
  profile: () => import("./profile.ts"),
  "replica-wire": () => import("./replica-wire.ts"),
  peers: () => import("./peers/run.ts"),
};
const named = process.argv[2] ?? "";
const suite = Object.hasOwn(suites, named) ? suites[named] : undefined;
if (suite !== undefined) process.argv.splice(2, 1);
await(suite ?? suites["broker"])?.();
