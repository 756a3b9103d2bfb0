import type { ControllerRequest, ResponseOf } from "../controller/requests.ts";
import type { MetadataImage } from "../metadata/image.ts";
import type { ClusterId, NodeId } from "../model/ids.ts";

/** What the handlers of requests know of the cluster, and how they change it. */
export interface MetadataCalls {
  /** What is committed and applied here. */
  readonly image: MetadataImage;
  /** @throws LograftError NO_QUORUM before this broker belongs to a cluster. */
  readonly clusterId: ClusterId;
  /** The node that is thought to be the controller. */
  readonly leaderId: NodeId | undefined;
  /**
   * To the controller, wherever it is; resolves when the effect is in `image`. @throws LograftError NO_QUORUM when there
   * is none for some seconds; CLOSED, BUFFER_EXHAUSTED, DISK_FULL; NOT_CONTROLLER or TIMEOUT when it may have been carried
   * out or not.
   */
  call<Request extends ControllerRequest>(
    request: Request,
    signal?: AbortSignal,
  ): Promise<ResponseOf<Request["type"]>>;
}
