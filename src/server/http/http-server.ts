import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import type { Context } from "hono";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { operationError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Clock } from "../../platform/clock.ts";
import { listenError } from "../listen-error.ts";
import type { HttpAnswer, HttpPages } from "./http-pages.ts";

export interface HttpServerOptions {
  /** "": all interfaces. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface HttpServerDeps {
  readonly pages: HttpPages;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Of probes, scrapers and a few people. */
const MAX_CONNECTIONS = 200;
/** For a whole request: the pages take no body worth waiting for. */
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
const MAX_HEADER_BYTES = 16 * 1024;

/** The HTTP port: health for probes, metrics for scrapers. */
export class HttpServer {
  readonly #server: Server;
  readonly #clock: Clock;
  #closing: Promise<void> | undefined;

  private constructor(server: Server, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
  }

  /** Listens. @throws LograftError ADDRESS_IN_USE, CONFIG_INVALID. */
  static async start(options: HttpServerOptions, deps: HttpServerDeps): Promise<HttpServer> {
    const { clock, logger, pages } = deps;
    const app = routes(pages, logger);
    // The library would put classes of its own in the place of the global Request and Response, for the whole process.
    const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
    const server = createServer(
      {
        requestTimeout: REQUEST_TIMEOUT_MS,
        headersTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: MAX_HEADER_BYTES,
      },
      (request, response) => {
        // It answers its own failures; `onError` of the routes comes first.
        void listener(request, response);
      },
    );
    server.maxConnections = MAX_CONNECTIONS;
    await listening(server, options);
    server.on("error", (error) => {
      logger.warn("a connection to the HTTP port could not be accepted", { err: error });
    });
    return new HttpServer(server, clock);
  }

  /** The real port. @throws LograftError CLOSED when it does not listen. */
  get port(): number {
    const address = this.#server.address() as AddressInfo | null;
    if (address === null) throw operationError("CLOSED", "the HTTP port is closed");
    return address.port;
  }

  /** No new connections; requests in progress may end within `graceMs`, then they are cut. Idempotent. */
  close(options: { readonly graceMs: number }): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const timer = this.#clock.setTimer(options.graceMs, () => this.#server.closeAllConnections());
      this.#server.close(() => {
        timer.cancel();
        resolve();
      });
      this.#server.closeIdleConnections();
    });
    return this.#closing;
  }
}

function routes(pages: HttpPages, logger: Logger): Hono {
  const app = new Hono();
  app.get("/livez", (context) => answered(context, pages.livez()));
  app.get("/startupz", (context) => answered(context, pages.startupz()));
  app.get("/readyz", (context) => answered(context, pages.readyz()));
  app.get("/healthz", (context) =>
    answered(context, pages.healthz(context.req.query("verbose") !== undefined)),
  );
  app.get("/metrics", async (context) => answered(context, await pages.metrics()));
  app.get("/metrics/kafka", async (context) => answered(context, await pages.kafkaMetrics()));
  app.notFound((context) =>
    context.text("there is /livez, /startupz, /readyz, /healthz, /metrics and /metrics/kafka\n", 404),
  );
  app.onError((error, context) => {
    logger.error("a page of the HTTP port failed", { path: context.req.path, err: error });
    return context.text("the page failed; see the broker's log\n", 500);
  });
  return app;
}

/** Health of a moment ago is of no use, so nothing on the way may keep an answer. */
function answered(context: Context, { status, contentType, body }: HttpAnswer): Response {
  return context.body(body, status, { "Content-Type": contentType, "Cache-Control": "no-store" });
}

function listening(server: Server, { host, port }: HttpServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error & { readonly code?: string }): void => {
      reject(listenError(error, host, port));
    };
    server.once("error", onError);
    server.listen({ host, port }, () => {
      server.off("error", onError);
      resolve();
    });
  });
}
