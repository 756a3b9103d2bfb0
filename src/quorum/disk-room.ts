import { LograftError, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../platform/clock.ts";
import type { Disk } from "../platform/disk.ts";
import { DiskReserve } from "./disk-reserve.ts";

/** What must be free beside the entries: LevelDB does not survive a write that finds no room. */
const MIN_FREE_BYTES = 256 * 1024;
/** Between two looks while a write that was accepted waits for room. */
const RETRY_MS = 50;

/**
 * Looks ahead, so that a full disk refuses changes instead of ending the node: proposals are refused by the last look
 * before they are in the log; what is in the log may use the reserve, and without one waits for room (H53).
 */
export class DiskRoom {
  readonly #directory: string;
  readonly #reserveBytes: number;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #reserve: DiskReserve;
  #reserving: Promise<void> = Promise.resolve();
  #freeBytes = Number.POSITIVE_INFINITY;
  /** Accepted since the last look. */
  #promisedBytes = 0;
  #hasReserve = false;
  #isReserving = false;
  #isLooking = false;

  constructor(
    options: { readonly directory: string; readonly reserveBytes: number },
    deps: { readonly disk: Disk; readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#directory = options.directory;
    this.#reserveBytes = options.reserveBytes;
    this.#disk = deps.disk;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#reserve = new DiskReserve(
      { directory: options.directory, sizeBytes: options.reserveBytes },
      { disk: deps.disk },
    );
  }

  /** Before the store is opened, for LevelDB writes as it opens. */
  async prepare(): Promise<void> {
    await this.look();
    if (this.#freeBytes < this.#reserveBytes) await this.#release();
  }

  /** How much is free now. Never rejects: where it cannot be told the write itself will tell. */
  async look(): Promise<void> {
    try {
      this.#freeBytes = await this.#disk.freeBytes(this.#directory);
    } catch (error: unknown) {
      if (!(error instanceof LograftError)) throw error;
      this.#freeBytes = Number.POSITIVE_INFINITY;
    }
    this.#promisedBytes = 0;
  }

  /** As `look`, in the background; one at a time. */
  lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.look()
      .catch(() => undefined) // A simulated process that died: nobody is left to be told.
      .finally(() => {
        this.#isLooking = false;
      });
  }

  /** True when the last look found too little for anything but what makes room. */
  get isShort(): boolean {
    return !this.#hasRoomFor(0);
  }

  /** By the last look: DISK_FULL, or undefined and the bytes are promised. `isUrgent`: the reserve is for this. */
  refusal(sizeBytes: number, isUrgent: boolean): LograftError | undefined {
    if (!this.#hasRoomFor(sizeBytes) && !(isUrgent && this.#hasReserve)) return this.#fullError(sizeBytes);
    this.#promisedBytes += sizeBytes;
    return undefined;
  }

  /** Resolves when there is room for a write that cannot be refused any more. @throws the reason of `signal`. */
  async admit(sizeBytes: number, signal: AbortSignal): Promise<void> {
    for (let isTold = false; ;) {
      await this.look();
      if (this.#hasRoomFor(sizeBytes)) return;
      if (await this.#release()) continue;
      if (!isTold) this.#logger.error(this.#fullError(sizeBytes).message);
      isTold = true;
      await this.#clock.sleep(RETRY_MS, signal);
    }
  }

  /** Makes the reserve again where there is room for it, in the background. */
  keep(): void {
    if (this.#reserveBytes === 0 || this.#hasReserve || this.#isReserving) return;
    this.#isReserving = true;
    this.#reserving = this.#reserving.then(async () => {
      await this.#reserve.keep();
      this.#hasReserve = await this.#reserve.isKept();
      this.#isReserving = false;
    });
    // A simulated process that died: nobody is left to be told.
    this.#reserving.catch(() => undefined);
  }

  /** Waits for the reserve in the making. */
  async close(): Promise<void> {
    await this.#reserving;
  }

  async #release(): Promise<boolean> {
    await this.#reserving;
    this.#hasReserve = false;
    return this.#reserve.release();
  }

  #hasRoomFor(sizeBytes: number): boolean {
    return this.#freeBytes >= MIN_FREE_BYTES + 2 * (this.#promisedBytes + sizeBytes);
  }

  #fullError(sizeBytes: number): LograftError {
    const neededBytes = MIN_FREE_BYTES + 2 * sizeBytes;
    return operationError(
      "DISK_FULL",
      `the disk of ${this.#directory} is full: metadata needs ${neededBytes} free bytes; nothing was changed. ` +
        "Free space there, or delete topics",
      { context: { directory: this.#directory, neededBytes }, retriable: true },
    );
  }
}
