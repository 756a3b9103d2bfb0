import { createHash } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorMessage, LograftError, operationError } from "../../base/errors.ts";
import { isLograftError } from "../../client/errors.ts";

/*
 * How the commands of one terminal reach the supervisor in another: one line of JSON there, one line back, over a local
 * socket that only this user can open.
 */

/** What the supervisor may be asked. */
export type ControlRequest =
  | { readonly command: "status" }
  | { readonly command: "down" }
  | { readonly command: "start"; readonly nodeId: number }
  | { readonly command: "stop"; readonly nodeId: number; readonly isKill: boolean }
  | { readonly command: "add"; readonly count: number };

/** One broker as its supervisor sees it. */
export interface NodeStatus {
  readonly nodeId: number;
  /** 0: not running. */
  readonly pid: number;
  readonly state: "starting" | "running" | "stopping" | "stopped";
  readonly client: string;
  readonly peer: string;
}

/** Answers a request with the state of all brokers behind it; a throw travels to the asker. */
export type ControlHandler = (request: ControlRequest) => Promise<readonly NodeStatus[]>;

const MAX_LINE_CHARS = 64 * 1024;

/** Where the supervisor of a directory listens: paths of sockets are short, so it does not lie in the directory itself. */
export function controlPathOf(directory: string): string {
  const name = `lograft-dev-${createHash("sha256").update(directory).digest("hex").slice(0, 16)}`;
  return process.platform === "win32" ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
}

/** The supervisor's end. */
export class ControlServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws DATA_DIR_LOCKED when a supervisor listens there already. */
  static async listen(path: string, handler: ControlHandler): Promise<ControlServer> {
    const other = await connectTo(path);
    if (other !== undefined) {
      other.destroy();
      throw operationError(
        "DATA_DIR_LOCKED",
        "this cluster is running already; see: lograft dev status, or stop it with: lograft dev down",
      );
    }
    // Nobody answers: a file that is still there was left by a supervisor that was killed.
    if (process.platform !== "win32") await rm(path, { force: true });
    const server = createServer();
    const control = new ControlServer(server);
    server.on("connection", (socket) => control.#serve(socket, handler));
    server.listen(path);
    await once(server, "listening");
    return control;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #serve(socket: Socket, handler: ControlHandler): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    const answer = async (): Promise<void> => {
      const line = await firstLine(socket);
      socket.end(`${JSON.stringify(await outcomeOf(line, handler))}\n`);
    };
    answer().catch(() => socket.destroy());
  }
}

/**
 * Asks the supervisor; undefined when none listens. @throws what it threw; TIMEOUT, CONNECTION_FAILED when it ended
 * before it answered.
 */
export async function askSupervisor(
  path: string,
  request: ControlRequest,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<readonly NodeStatus[] | undefined> {
  const socket = await connectTo(path);
  if (socket === undefined) return undefined;
  const stop = (): void => void socket.destroy();
  options.signal.addEventListener("abort", stop, { once: true });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    socket.destroy();
  }, options.timeoutMs);
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    const answer = JSON.parse(await firstLine(socket)) as Answer;
    if (answer.ok) return answer.nodes;
    throw new LograftError(answer.code, answer.message);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isLate) throw error;
    const what = `the supervisor did not finish "${request.command}" within ${options.timeoutMs} ms`;
    throw operationError("TIMEOUT", `${what}; see: lograft dev logs`, { cause: error, retriable: true });
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", stop);
    socket.destroy();
  }
}

type Answer =
  | { readonly ok: true; readonly nodes: readonly NodeStatus[] }
  | { readonly ok: false; readonly code: string; readonly message: string };

async function outcomeOf(line: string, handler: ControlHandler): Promise<Answer> {
  try {
    return { ok: true, nodes: await handler(JSON.parse(line) as ControlRequest) };
  } catch (error) {
    return { ok: false, code: isLograftError(error) ? error.code : "UNKNOWN", message: errorMessage(error) };
  }
}

async function connectTo(path: string): Promise<Socket | undefined> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    // Errors from now on show as an end without a line.
    socket.on("error", () => undefined);
    return socket;
  } catch {
    return undefined;
  }
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_LINE_CHARS) socket.destroy();
    });
    socket.once("close", () => {
      reject(
        operationError(
          "CONNECTION_FAILED",
          "the supervisor ended before it answered; see: lograft dev status",
        ),
      );
    });
  });
}
