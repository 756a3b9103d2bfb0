/*
 * The messages of proto/lograft/v1/admin.proto that describe one node, as plain objects; see `admin-messages.ts`.
 */

/** lograft.v1.DescribeNodeRequest. */
export type DescribeNodeRequest = { readonly [field: string]: never };

/** lograft.v1.DescribeNodeResponse. */
export interface DescribeNodeResponse {
  readonly nodeId: number;
  readonly version: string;
  readonly nodeVersion: string;
  readonly wallClockMs: number;
  readonly startedMs: number;
  readonly processId: number;
  /** -1: the system has no such thing. */
  readonly userId: number;
  readonly hostName: string;
  readonly dataDirectory: string;
  /** -1: unknown. */
  readonly diskFreeBytes: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  readonly memoryBytes: number;
  /** -1: unknown. */
  readonly openFiles: number;
  /** -1: unknown, or none. */
  readonly openFilesLimit: number;
  /** 0: any free one; -1: there is none. */
  readonly httpPort: number;
  readonly listener: string;
  readonly listeners: readonly NodeListener[];
}

/** lograft.v1.NodeListener. */
export interface NodeListener {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}
