/** What an error carries besides its text. */
export interface LograftErrorOptions {
  /** The numbers and names needed to act on it; plain data, safe to log. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  /** True when the same call may succeed later, unchanged. Default false. */
  readonly retriable?: boolean;
}

/** Failures of operations that are not outcomes of the protocol (those are `ErrorName`, in `model/error-code`). */
export type OperationErrorCode =
  | "ABORTED"
  | "ADDRESS_IN_USE"
  | "BUFFER_EXHAUSTED"
  | "CLOSED"
  | "CONFIG_INVALID"
  | "CONNECTION_FAILED"
  | "DATA_DIR_LOCKED"
  | "DATA_DIR_VERSION"
  | "DECOMPRESSION_FAILED"
  | "DELIVERY_TIMEOUT"
  | "DISK_FULL"
  | "DISK_READ_FAILED"
  | "DISK_SYNC_FAILED"
  | "DISK_WRITE_FAILED"
  | "INVALID_ARGUMENT"
  | "LOG_CORRUPT"
  | "LOG_OFFLINE"
  | "METADATA_CORRUPT"
  | "NO_QUORUM"
  | "SERIALIZATION_FAILED"
  | "TIMEOUT";

/**
 * The one class of thrown errors. `code` is stable and comes from a closed list (`OperationErrorCode` here, Kafka's
 * error names for answers of a broker); the message is free to change: it names the thing, the cause and the next step.
 */
export class LograftError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly context: Readonly<Record<string, unknown>>;
  readonly retriable: boolean;

  constructor(code: Code, message: string, options: LograftErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "LograftError";
    this.code = code;
    this.context = options.context ?? {};
    this.retriable = options.retriable ?? false;
  }

  /** What a call to a broker is named in that broker's log; undefined where no call failed. */
  get requestId(): string | undefined {
    const { requestId } = this.context;
    return typeof requestId === "string" ? requestId : undefined;
  }
}

/** The operation-error constructor, with its closed list of codes. */
export function operationError(
  code: OperationErrorCode,
  message: string,
  options?: LograftErrorOptions,
): LograftError<OperationErrorCode> {
  return new LograftError(code, message, options);
}

/** The message of anything thrown, for texts that name a cause. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
