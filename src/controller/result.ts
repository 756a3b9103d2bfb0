import type { MetadataRecord } from "../metadata/records.ts";
import type { ErrorName } from "../model/error-code.ts";

/** What a decision answers: the records to log, and the response that goes out once they are committed (D3). */
export interface Decision<Response> {
  readonly records: readonly MetadataRecord[];
  readonly response: Response;
}

/** How one item of a request came out; "NONE" with an empty message when it went well. */
export interface ItemOutcome {
  readonly error: ErrorName;
  /** Names the thing, the cause and the next step. */
  readonly errorMessage: string;
}

export const SUCCESS: ItemOutcome = { error: "NONE", errorMessage: "" };

export function failure(error: ErrorName, errorMessage: string): ItemOutcome {
  return { error, errorMessage };
}
