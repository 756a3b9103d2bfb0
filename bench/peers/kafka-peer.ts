import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { compileJava, copyMavenArtifacts } from "./install.ts";
import { runProgram } from "./owned-process.ts";
import type { Peer } from "./peer.ts";

const VERSION = "4.3.1";
const LOG4J_VERSION = "2.25.4";
const FORMAT_MS = 60_000;
/** What Kafka's own start script gives the JVM of a broker. */
const BROKER_FLAGS = [
  "-Xms1G",
  "-Xmx1G",
  "-server",
  "-XX:+UseG1GC",
  "-XX:MaxGCPauseMillis=20",
  "-XX:InitiatingHeapOccupancyPercent=35",
  "-XX:+ExplicitGCInvokesConcurrent",
];
const CLIENT_FLAGS = ["-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];

/** Apache Kafka with KRaft, each node broker and controller. */
export const kafkaPeer: Peer = {
  name: "kafka",
  install: async (cache) => {
    const place = join(cache, `kafka-${VERSION}`);
    const libraries = await copyMavenArtifacts(place, [
      `org.apache.kafka:kafka_2.13:${VERSION}`,
      `org.apache.kafka:kafka-server:${VERSION}`,
      `org.apache.kafka:kafka-tools:${VERSION}`,
      `org.apache.logging.log4j:log4j-slf4j-impl:${LOG4J_VERSION}`,
    ]);
    const logging = join(place, "log4j2.properties");
    await writeFile(logging, LOGGING);
    const loggingFlag = `-Dlog4j2.configurationFile=${logging}`;
    const classes = await compileJava(place, libraries, ["BenchClient.java", "KafkaBenchClient.java"]);
    const java = (flags: readonly string[], path: string, main: string, args: readonly string[]) => ({
      command: "java",
      args: [...flags, loggingFlag, "-Djava.awt.headless=true", "-cp", path, main, ...args],
    });
    return {
      version: VERSION,
      lacks: () => undefined,
      client: (servers) =>
        java(CLIENT_FLAGS, `${classes}:${libraries}`, "KafkaBenchClient", [servers.join(",")]),
      prepare: async (directory, nodes) => {
        const ports = await freePorts(2 * nodes);
        const all = Array.from({ length: nodes }, (_, node) => node);
        const voters = all.map((node) => `${node + 1}@127.0.0.1:${ports[nodes + node]}`).join(",");
        const clusterId = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url");
        const files = await Promise.all(
          all.map(async (node) => {
            const data = join(directory, `data-${node + 1}`);
            const file = join(directory, `server-${node + 1}.properties`);
            const [port = 0, controllerPort = 0] = [ports[node], ports[nodes + node]];
            await mkdir(data);
            await writeFile(file, settingsOf({ node: node + 1, nodes, port, controllerPort, voters, data }));
            // A small heap, for the three tools run at once.
            const format = ["format", "-t", clusterId, "-c", file];
            const call = java(
              ["-Xmx256m", "-XX:TieredStopAtLevel=1"],
              libraries,
              "kafka.tools.StorageTool",
              format,
            );
            await runProgram(call, { timeoutMs: FORMAT_MS });
            return file;
          }),
        );
        return {
          servers: all.map((node) => `127.0.0.1:${ports[node]}`),
          programs: files.map((file) => java(BROKER_FLAGS, libraries, "kafka.Kafka", [file])),
        };
      },
    };
  },
};

/** Kafka's defaults, but for what a cluster of few nodes needs and for deleted files, which go at once as lograft's do. */
function settingsOf(options: {
  readonly node: number;
  readonly nodes: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly voters: string;
  readonly data: string;
}): string {
  const { node, nodes, port, controllerPort, voters, data } = options;
  const lines = [
    "process.roles=broker,controller",
    `node.id=${node}`,
    `controller.quorum.voters=${voters}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    "inter.broker.listener.name=PLAINTEXT",
    "controller.listener.names=CONTROLLER",
    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    `log.dirs=${data}`,
    `offsets.topic.replication.factor=${nodes}`,
    "auto.create.topics.enable=false",
    `min.insync.replicas=${nodes > 1 ? 2 : 1}`,
    "log.segment.delete.delay.ms=1000",
  ];
  return `${lines.join("\n")}\n`;
}

const LOGGING = `rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d %p %c{1}: %m%n
`;
