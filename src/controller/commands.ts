import { assert } from "../base/assert.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { randomTopicId, UUID_BYTES } from "../model/ids.ts";
import type { Random } from "../platform/random.ts";
import type { UncleanElection } from "./affected-partitions.ts";
import { decideAlterPartitions } from "./alter-partitions.ts";
import { epochRefusal } from "./broker-states.ts";
import { decideUnregister } from "./brokers.ts";
import { decideAlterConfigs } from "./configs.ts";
import { decideDamagedReplicas } from "./damaged-replicas.ts";
import { decideDrain } from "./drains.ts";
import { decideElectLeaders } from "./elections.ts";
import { decideUpdateFeature, SUPPORTED_FEATURES } from "./features.ts";
import { decideProducerIdBlock } from "./producer-ids.ts";
import { decideCancelReassignments, decideReassign } from "./reassignments.ts";
import type { ControllerResults, RequestOf, RequestType } from "./requests.ts";
import type { Decision, ItemOutcome } from "./result.ts";
import { decideAddPartitions, decideCreateTopics, decideDeleteTopics } from "./topics.ts";
import type { TopicRules } from "./topics.ts";

/** Requests about the quorum itself, which its own log carries out. */
export type QuorumRequestType = "addVoter" | "removeVoter" | "describeQuorum";

/** Requests that a decision about the metadata answers. */
export type CommandType = Exclude<RequestType, QuorumRequestType>;

/** The result, or why the request as a whole is refused. */
export type Answer<Result> =
  | {
      readonly ok: true;
      readonly result: Result;
      /** Leaders that may lack confirmed records; to be reported, whoever asked for it (H25). */
      readonly uncleanElections: readonly UncleanElection[];
    }
  | { readonly ok: false; readonly refusal: ItemOutcome };

/** What decisions need beside the image and the request. */
export interface CommandContext {
  readonly rules: TopicRules;
  /** Random ids are chosen here, before the records are logged (H19). */
  readonly random: Random;
}

type Commands = {
  readonly [Type in CommandType]: (
    image: MetadataImage,
    request: RequestOf<Type>,
    context: CommandContext,
  ) => Decision<Answer<ControllerResults[Type]>>;
};

/** What each request decides. */
const COMMANDS: Commands = {
  createTopics: (image, { topics, validateOnly }, { rules, random }) => {
    const topicIds = topics.map(() => randomTopicId(random.bytes(UUID_BYTES)));
    return answered(decideCreateTopics(image, { topics, topicIds, validateOnly }, rules));
  },
  createInternalTopic: (image, topic, { rules, random }) => {
    const topicIds = [randomTopicId(random.bytes(UUID_BYTES))];
    const command = { topics: [topic], topicIds, validateOnly: false, isInternal: true };
    const { records, response } = decideCreateTopics(image, command, rules);
    const [result] = response;
    assert(result !== undefined, "a topic without a result", { name: topic.name });
    return answered({ records, response: result });
  },
  deleteTopics: (image, { names }) => answered(decideDeleteTopics(image, names)),
  addPartitions: (image, request, { rules }) => answered(decideAddPartitions(image, request, rules)),
  alterConfigs: (image, request, { rules }) => {
    const { records, response } = decideAlterConfigs(image, request, rules);
    const { uncleanElections, ...result } = response;
    const happened = records.length > 0 ? uncleanElections : [];
    return { records, response: { ok: true, result, uncleanElections: happened } };
  },
  allocateProducerIds: (image, { nodeId, brokerEpoch }) => {
    const refusal = epochRefusal(image, nodeId, brokerEpoch);
    if (refusal !== undefined) return { records: [], response: { ok: false, refusal } };
    return answered(decideProducerIdBlock(image));
  },
  alterPartitions: (image, request, { rules }) => {
    const refusal = epochRefusal(image, request.nodeId, request.brokerEpoch);
    if (refusal !== undefined) return { records: [], response: { ok: false, refusal } };
    return answered(decideAlterPartitions(image, request, rules));
  },
  reportDamage: (image, request, { rules }) => {
    const refusal = epochRefusal(image, request.nodeId, request.brokerEpoch);
    if (refusal !== undefined) return { records: [], response: { ok: false, refusal } };
    return answered(decideDamagedReplicas(image, request, rules));
  },
  reassignPartitions: (image, request, { rules }) => answered(decideReassign(image, request, rules)),
  cancelReassignments: (image, request, { rules }) =>
    answered(decideCancelReassignments(image, request, rules)),
  drainBroker: (image, request, { rules }) =>
    checked(
      decideDrain(image, request, rules),
      ({ movedLeaders, ledPartitions }) => ({ movedLeaders, ledPartitions }),
      ({ uncleanElections }) => uncleanElections,
    ),
  electLeaders: (image, request, { rules }) => answered(decideElectLeaders(image, request, rules)),
  unregisterBroker: (image, request, { rules }) =>
    checked(
      decideUnregister(image, request, rules),
      () => null,
      ({ uncleanElections }) => uncleanElections,
    ),
  updateFeature: (image, request) =>
    checked(decideUpdateFeature(image, request), ({ name, level }) => {
      const { min, max } = SUPPORTED_FEATURES.get(name) ?? { min: 0, max: 0 };
      return { name, level, min, max };
    }),
};

/** Decides on one request. Pure but for the random ids. */
export function decideCommand<Type extends CommandType>(
  type: Type,
  image: MetadataImage,
  request: RequestOf<Type>,
  context: CommandContext,
): Decision<Answer<ControllerResults[Type]>> {
  return COMMANDS[type](image, request, context);
}

/** Failures of single items are part of the result. */
function answered<Result>({ records, response }: Decision<Result>): Decision<Answer<Result>> {
  return { records, response: { ok: true, result: response, uncleanElections: [] } };
}

/** The outcome is about the request as a whole. */
function checked<Response extends ItemOutcome, Result>(
  { records, response }: Decision<Response>,
  resultOf: (response: Response) => Result,
  uncleanElectionsOf: (response: Response) => readonly UncleanElection[] = () => [],
): Decision<Answer<Result>> {
  const { error, errorMessage } = response;
  if (error !== "NONE") return { records, response: { ok: false, refusal: { error, errorMessage } } };
  const uncleanElections = uncleanElectionsOf(response);
  return { records, response: { ok: true, result: resultOf(response), uncleanElections } };
}
