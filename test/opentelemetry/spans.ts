import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Context, ContextManager, TracerProvider } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { AsyncLocalStorage } from "node:async_hooks";

/** The real SDK with spans kept here, and contexts that follow promises, as applications set them up. */
export class Spans {
  readonly provider: TracerProvider;
  readonly #exporter = new InMemorySpanExporter();

  constructor() {
    this.provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(this.#exporter)] });
    context.setGlobalContextManager(new AsyncContexts());
  }

  /** Those that have ended, in that order. */
  get all(): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** The only one of that name. */
  one(name: string): ReadableSpan {
    const found = this.all.filter((span) => span.name === name);
    const [span] = found;
    if (span === undefined || found.length > 1) {
      throw new Error(`${found.length} spans of ${name} among ${this.all.map((one) => one.name).join(", ")}`);
    }
    return span;
  }

  clear(): void {
    this.#exporter.reset();
  }

  close(): void {
    context.disable();
  }
}

/** The trace id and span id of the span that is active here. */
export function activeSpan(): string | undefined {
  return trace.getSpanContext(context.active())?.spanId;
}

class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    within: Context,
    run: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(within, () => run.call(self, ...args) as ReturnType<F>);
  }

  bind<T>(_context: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}
