import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger } from "../../base/logger.ts";
import type { Broker } from "../../broker/broker.ts";
import { checkedUint64 } from "../../rpc/convert.ts";
import type {
  FetchRequest,
  FetchResponse,
  InitProducerRequest,
  InitProducerResponse,
  ListOffsetsRequest,
  ListOffsetsResponse,
  MetadataRequest,
  MetadataResponse,
  ProduceRequest,
  ProduceResponse,
} from "../../rpc/messages.ts";
import { listOffsetsAnswer, metadataAnswer } from "./client-answers.ts";
import { toMessage as fetchedMessage } from "./fetch-stream.ts";
import { toMessage as producedMessage } from "./produce-stream.ts";
import { unary } from "./unary.ts";

/** The calls of `ClientService` with one request and one answer. */
export function clientUnaryMethods(deps: {
  readonly broker: Broker;
  readonly logger: Logger;
  /** The name of the listener that the calls come in on. */
  readonly listener: string;
  /** Largest unary answer, so that it passes the message limit of the lane. */
  readonly maxFetchBytes: number;
}): UntypedServiceImplementation {
  const { broker } = deps;
  return {
    Metadata: unary<MetadataRequest, MetadataResponse>(
      async (request) => metadataAnswer(broker, request, deps.listener),
      deps,
    ),
    ProduceUnary: unary<ProduceRequest, ProduceResponse>(async (request) => {
      const correlationId = checkedUint64(request.correlationId, "correlation_id");
      const results = await broker.produce({
        // Refused by the broker with INVALID_REQUIRED_ACKS when it is none of the three.
        acks: request.acks as -1 | 0 | 1,
        timeoutMs: request.timeoutMs,
        partitions: request.partitions,
      });
      return {
        correlationId,
        results: results.map(producedMessage),
        windowBytes: 0,
        throttleTimeMs: 0,
      };
    }, deps),
    FetchUnary: unary<FetchRequest, FetchResponse>(async (request, signal) => {
      for (const { offset } of request.partitions) checkedUint64(offset, "offset");
      const maxBytes =
        request.maxBytes === 0 ? deps.maxFetchBytes : Math.min(request.maxBytes, deps.maxFetchBytes);
      const partitions = await broker.fetch({ ...request, maxBytes }, signal);
      return {
        partitions: partitions.map((data) => ({
          ...fetchedMessage(data),
          records: Buffer.concat(data.records),
        })),
        throttleTimeMs: 0,
      };
    }, deps),
    InitProducer: unary<InitProducerRequest, InitProducerResponse>(async () => broker.initProducer(), deps),
    ListOffsets: unary<ListOffsetsRequest, ListOffsetsResponse>(
      async (request) => listOffsetsAnswer(broker, request),
      deps,
    ),
  };
}
