import { Readable, Writable } from "node:stream";
import type { CliEnvironment } from "../../src/cli/context.ts";
import { runCli } from "../../src/cli/main.ts";

/** What a run of the CLI left behind. */
export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliInput {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Readable;
  readonly signal?: AbortSignal;
  /** What the streams say of themselves. */
  readonly isTTY?: boolean;
}

/** Runs one command line in this process, with captured streams. */
export async function cli(args: readonly string[], input: CliInput = {}): Promise<CliRun> {
  const stdout = new CapturedStream(input.isTTY ?? false);
  const stderr = new CapturedStream(input.isTTY ?? false);
  const stdin = Object.assign(input.stdin ?? Readable.from([]), { isTTY: input.isTTY ?? false });
  const code = await runCli(args, {
    env: input.env ?? {},
    stdout: stdout as unknown as NodeJS.WriteStream,
    stderr: stderr as unknown as NodeJS.WriteStream,
    stdin: stdin as unknown as NodeJS.ReadStream,
    signal: input.signal ?? new AbortController().signal,
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Surroundings for a command tree that is looked at and not run. */
export function environment(): CliEnvironment {
  const stream = new CapturedStream() as unknown as NodeJS.WriteStream;
  return {
    env: {},
    stdout: stream,
    stderr: stream,
    stdin: Readable.from([]) as unknown as NodeJS.ReadStream,
    signal: new AbortController().signal,
    exit: () => undefined,
  };
}

/** Keeps what is written. */
export class CapturedStream extends Writable {
  readonly isTTY: boolean;
  readonly columns = 100;
  readonly #chunks: Buffer[] = [];

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(Buffer.from(chunk));
    done();
  }
}
