import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { compileJava, copyMavenArtifacts } from "./install.ts";
import type { ProgramCall } from "./owned-process.ts";
import type { Peer } from "./peer.ts";

const VERSION = "5.3.3";
/** As much as the other systems on a JVM have. What its own scripts give (8 GiB and more) is for a machine of its own. */
const BROKER_FLAGS = ["-Xms1G", "-Xmx1G", "-XX:MaxDirectMemorySize=1G"];
const NAME_SERVER_FLAGS = ["-Xms128m", "-Xmx128m"];
const CLIENT_FLAGS = ["-Xms1G", "-Xmx1G"];
/** Its start scripts open these parts of the JVM to it, from Java 9 on. */
const OPENED = [
  "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
  "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
];
const EXPORTED = [
  "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
  "--add-opens=java.base/java.nio=ALL-UNNAMED",
];

/** Apache RocketMQ: a name server and one broker that writes to the disk behind its answers. */
export const rocketmqPeer: Peer = {
  name: "rocketmq",
  install: async (cache) => {
    const place = join(cache, `rocketmq-${VERSION}`);
    const parts = ["namesrv", "broker", "client"];
    const artifacts = parts.map((part) => `org.apache.rocketmq:rocketmq-${part}:${VERSION}`);
    const libraries = await copyMavenArtifacts(place, artifacts);
    const classes = await compileJava(place, libraries, ["BenchClient.java", "RocketBenchClient.java"]);
    const java = (
      flags: readonly string[],
      home: string,
      path: string,
      words: readonly string[],
    ): ProgramCall => ({
      command: "java",
      // Logs go below the home directory.
      args: [...flags, ...OPENED, ...EXPORTED, `-Duser.home=${home}`, "-cp", path, ...words],
      env: { ROCKETMQ_HOME: home },
    });
    return {
      version: VERSION,
      lacks: (row) => (row.startsWith("single.") ? undefined : "one broker without replicas is compared"),
      client: (servers) => {
        const words = ["RocketBenchClient", ...servers];
        return java(CLIENT_FLAGS, join(place, "home"), `${classes}:${libraries}`, words);
      },
      prepare: async (directory) => {
        const [nameServerPort = 0, port = 0, haPort = 0] = await freePorts(3);
        const nameServer = `127.0.0.1:${nameServerPort}`;
        const nameServerFile = join(directory, "namesrv.properties");
        const brokerFile = join(directory, "broker.properties");
        await mkdir(join(directory, "data"));
        await writeFile(nameServerFile, `listenPort=${nameServerPort}\nbindAddress=127.0.0.1\n`);
        const settings = [
          "brokerClusterName=bench",
          "brokerName=broker",
          "brokerId=0",
          "brokerRole=ASYNC_MASTER",
          "flushDiskType=ASYNC_FLUSH",
          "brokerIP1=127.0.0.1",
          "bindAddress=127.0.0.1",
          `listenPort=${port}`,
          `haListenPort=${haPort}`,
          `namesrvAddr=${nameServer}`,
          `storePathRootDir=${join(directory, "data")}`,
          `storePathCommitLog=${join(directory, "data", "commitlog")}`,
          "autoCreateTopicEnable=true",
          // By default it refuses what waited for 200 ms: here a client waits instead, as it does for the others.
          "waitTimeMillsInSendQueue=10000",
          "osPageCacheBusyTimeOutMills=10000",
          // By default it refuses on a disk that is three quarters full, whoever filled it.
          "diskMaxUsedSpaceRatio=95",
        ];
        await writeFile(brokerFile, `${settings.join("\n")}\n`);
        const start = (flags: readonly string[], main: string, file: string): ProgramCall =>
          java(flags, directory, libraries, [`org.apache.rocketmq.${main}`, "-c", file]);
        return {
          servers: [nameServer],
          programs: [
            start(NAME_SERVER_FLAGS, "namesrv.NamesrvStartup", nameServerFile),
            start(BROKER_FLAGS, "broker.BrokerStartup", brokerFile),
          ],
        };
      },
    };
  },
};
