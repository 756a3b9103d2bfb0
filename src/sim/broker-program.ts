import { assert } from "../base/assert.ts";
import { operationError } from "../base/errors.ts";
import { Broker } from "../broker/broker.ts";
import type { BrokerSabotage } from "../broker/broker-options.ts";
import { MetadataNode } from "../broker/metadata-node.ts";
import { parseBrokerConfig } from "../model/configs.ts";
import type { ParsedBrokerConfig } from "../model/configs.ts";
import type { ProgramPlace } from "./metadata-cluster.ts";
import {
  ELECTION_TIMEOUT_MS,
  HEARTBEAT_INTERVAL_MS,
  SESSION_TIMEOUT_MS,
  TICK_MS,
} from "./metadata-cluster.ts";
import { SimLeaderEndpoint } from "./sim-leader-endpoint.ts";
import { DATA_DIRECTORY } from "./sim-program.ts";
import type { ProgramPorts, RunningProgram, SimProgram } from "./sim-program.ts";

export interface BrokerProgramOptions {
  /** On top of what the simulation needs. */
  readonly config: Readonly<Record<string, string>>;
  readonly sabotage?: BrokerSabotage;
}

/** A whole broker, composed as in production; only its ports are simulated. */
export class BrokerProgram implements SimProgram {
  readonly #config: ParsedBrokerConfig;
  readonly #sabotage: BrokerSabotage | undefined;
  #directoryId: string | undefined;

  constructor(options: BrokerProgramOptions, place: ProgramPlace) {
    this.#config = brokerConfig(options.config, place);
    this.#sabotage = options.sabotage;
  }

  get directoryId(): string | undefined {
    return this.#directoryId;
  }

  diskReplaced(): void {
    this.#directoryId = undefined;
  }

  async open(ports: ProgramPorts): Promise<RunningProgram> {
    const { host, platform, network, logger, transport, channel, endpoint } = ports;
    const broker = await Broker.open(
      {
        config: this.#config,
        peerEndpoint: endpoint,
        ...(this.#sabotage === undefined ? {} : { sabotage: this.#sabotage }),
      },
      { platform, logger, transport, channel, leaderEndpoint: new SimLeaderEndpoint({ network, host }) },
    );
    const { peer } = broker;
    assert(peer instanceof MetadataNode, "a broker's peers reach its metadata node");
    if (host.isAlive) this.#directoryId = broker.storage.directoryId;
    const never = new AbortController();
    return {
      node: peer,
      broker,
      failure: broker.failure,
      run: () => {
        broker.takePart();
        return broker.join({ host: `host${host.machine}`, port: 9092 }, never.signal);
      },
      stop: () => broker.close(),
    };
  }
}

function brokerConfig(
  extra: Readonly<Record<string, string>>,
  { index, founders, bootstrapServers }: ProgramPlace,
): ParsedBrokerConfig {
  const parsed = parseBrokerConfig({
    "node.id": String(index + 1),
    "log.dirs": DATA_DIRECTORY,
    // Simulated disks are small.
    "storage.min.free.bytes": "0",
    // Nobody listens there: it only says that there are peers.
    listeners: "CLIENT://:9092,PEER://:9093",
    ...(founders.length > 0
      ? {
          "controller.quorum.voters": founders
            .map(({ nodeId, endpoint }) => `${nodeId}@${endpoint}`)
            .join(","),
        }
      : { "controller.quorum.bootstrap.servers": bootstrapServers.join(",") }),
    "raft.election.timeout.ms": String(ELECTION_TIMEOUT_MS),
    "raft.heartbeat.interval.ms": String(TICK_MS * 2),
    "broker.session.timeout.ms": String(SESSION_TIMEOUT_MS),
    "broker.heartbeat.interval.ms": String(HEARTBEAT_INTERVAL_MS),
    "leader.imbalance.check.interval.ms": "4000",
    "auto.create.topics.enable": "false",
    ...extra,
  });
  if (parsed.ok) return parsed;
  const problems = parsed.errors.map(({ message }) => message).join("; ");
  throw operationError("CONFIG_INVALID", `a simulated broker cannot have this configuration: ${problems}`);
}
