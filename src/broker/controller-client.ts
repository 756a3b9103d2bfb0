import { abortable, deadlineSignal } from "../base/abort.ts";
import type { DeadlineSignal } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { LograftError, operationError } from "../base/errors.ts";
import type { Controller } from "../controller/controller.ts";
import { encodeControllerRequest } from "../controller/request-codec.ts";
import { decodeControllerResponse } from "../controller/response-codec.ts";
import { responseTo } from "../controller/requests.ts";
import type { ControllerRequest, ControllerResponse, ResponseOf } from "../controller/requests.ts";
import type { Clock } from "../platform/clock.ts";
import type { QuorumNode } from "../quorum/quorum-node.ts";
import type { ControllerChannel } from "./controller-channel.ts";

export interface ControllerClientDeps {
  readonly quorum: Pick<QuorumNode, "role" | "status" | "directoryId" | "waitApplied" | "ensureRoom">;
  readonly controller: Pick<Controller, "call">;
  readonly channel: ControllerChannel | undefined;
  readonly clock: Clock;
}

/** Between two tries when the same controller is still thought to be the one. */
const RETRY_MS = 50;

/** Brings requests to the active controller, in this process or another, and waits for one while there is none. */
export class ControllerClient {
  readonly #deps: ControllerClientDeps;
  #changed = new Deferred<void>();

  constructor(deps: ControllerClientDeps) {
    this.#deps = deps;
  }

  /** Another node may be the controller now: who waits tries again. */
  roleChanged(): void {
    this.#changed.resolve();
    this.#changed = new Deferred();
  }

  /**
   * Carries the request out and waits until its effect is applied here. It is sent again only after an answer that says
   * that it was not carried out. @throws LograftError NO_QUORUM when no controller took it in time, TIMEOUT when one took
   * it and did not answer (it may have been carried out); the controller's own errors; the reason of `signal`.
   */
  async call<Request extends ControllerRequest>(
    request: Request,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<ResponseOf<Request["type"]>> {
    const { quorum, clock } = this.#deps;
    using deadline = deadlineSignal(clock, options.timeoutMs, options.signal);
    let lastRefusal: unknown;
    for (;;) {
      const changed = this.#changed.promise;
      try {
        const response = await this.#tryOnce(request, deadline.signal);
        if (response !== undefined) {
          await quorum.waitApplied(response.offset, deadline.signal);
          return response;
        }
      } catch (error: unknown) {
        if (!isUndone(error)) throw error;
        lastRefusal = error;
      }
      await this.#pause(changed, deadline, lastRefusal);
    }
  }

  /** To the controller of this node. @throws as `Controller.call`; DISK_FULL before anything is decided. */
  async callHere(request: ControllerRequest, signal: AbortSignal): Promise<ControllerResponse> {
    const { quorum, controller } = this.#deps;
    // A deletion makes room, and may use what is kept for it.
    if (quorum.role.isActive && request.type !== "deleteTopics") await quorum.ensureRoom();
    return controller.call(request, signal);
  }

  /** Undefined: nobody to ask is known. */
  async #tryOnce<Request extends ControllerRequest>(
    request: Request,
    signal: AbortSignal,
  ): Promise<ResponseOf<Request["type"]> | undefined> {
    const { quorum, channel } = this.#deps;
    const { leader, isActive } = quorum.role;
    if (isActive) return responseTo<Request["type"]>(request, await this.callHere(request, signal));
    const isSelf = leader?.directoryId === quorum.directoryId;
    if (leader === undefined || leader.endpoint === "" || isSelf || channel === undefined) return undefined;
    const answer = await channel.call(leader, encodeControllerRequest(request), signal);
    return responseTo<Request["type"]>(request, decodeControllerResponse(answer));
  }

  async #pause(changed: Promise<void>, deadline: DeadlineSignal, lastRefusal: unknown): Promise<void> {
    const { clock } = this.#deps;
    try {
      const pause = new Deferred<void>();
      const timer = clock.setTimer(RETRY_MS, () => pause.resolve());
      try {
        await abortable(Promise.race([changed, pause.promise]), deadline.signal);
      } finally {
        timer.cancel();
      }
    } catch (error: unknown) {
      if (!(error instanceof LograftError) || error.code !== "TIMEOUT") throw error;
      throw this.#noQuorum(lastRefusal);
    }
  }

  #noQuorum(cause: unknown): LograftError {
    const { status, role } = this.#deps.quorum;
    const voters = status.voters.map(({ id, endpoint }) => `${id.split("@")[0]} at ${endpoint}`).join(", ");
    const leader = role.leader === undefined ? "none is known" : `node ${role.leader.nodeId} does not answer`;
    return operationError(
      "NO_QUORUM",
      `no controller took the request in time (${leader}); a majority of the voters (${voters || "none is known yet"}) ` +
        "must run and reach each other. See: lograft cluster quorum",
      { cause, retriable: true, context: { leader: role.leader?.nodeId ?? null } },
    );
  }
}

/** It is certain that nothing was changed, so another try changes nothing twice. */
function isUndone(error: unknown): boolean {
  if (!(error instanceof LograftError)) return false;
  // The context of an error that crossed the wire holds text.
  if (error.code === "NOT_CONTROLLER") return String(error.context["isIndefinite"]) !== "true";
  return error.code === "CONNECTION_FAILED" && error.context["isRefused"] === true;
}
