/** The process and the machine that the code runs in, at one moment. Sizes in bytes. */
export interface HostReading {
  /** Of this package. */
  readonly version: string;
  /** Of Node.js. */
  readonly nodeVersion: string;
  readonly processId: number;
  /** Undefined where there is no such thing. */
  readonly userId: number | undefined;
  readonly hostName: string;
  /** Wall clock at the start of the process, in ms since 1970. */
  readonly startedMs: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** To which V8 lets the heap grow. */
  readonly heapLimitBytes: number;
  /** What the process may use: the limit of its container, else all that the machine has. */
  readonly memoryBytes: number;
  /** Undefined where the system does not tell. */
  readonly openFiles: number | undefined;
  /** Undefined where the system does not tell, or sets none. */
  readonly openFilesLimit: number | undefined;
}

/** Tells of the process and its machine, for those who look for what is wrong with them. */
export interface HostFacts {
  read(): HostReading;
}
