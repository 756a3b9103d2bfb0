import { Presets, SingleBar } from "cli-progress";
import type { Output } from "./output.ts";
import { formatBytes } from "./output.ts";

/** Shows how far a long job is. Disposing takes the bar off, on every path. */
export interface Progress extends Disposable {
  advance(by: number): void;
}

/** A bar on a terminal; nothing elsewhere, where the result line says it all. */
export function byteProgress(output: Output, totalBytes: number, what: string): Progress {
  if (!output.isInteractive) return { advance: () => undefined, [Symbol.dispose]: () => undefined };
  const bar = new SingleBar(
    {
      format: `${what} {bar} {percentage}%  {done} of {all}  {rate}/s  {eta_formatted} left`,
      stream: output.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      fps: 5,
    },
    Presets.shades_classic,
  );
  const startedAt = performance.now();
  let done = 0;
  const payload = (): Record<string, string> => ({
    done: formatBytes(done),
    all: formatBytes(totalBytes),
    rate: formatBytes(done / Math.max(0.001, (performance.now() - startedAt) / 1000)),
  });
  bar.start(totalBytes, 0, payload());
  return {
    advance: (by) => {
      done += by;
      bar.update(done, payload());
    },
    [Symbol.dispose]: () => bar.stop(),
  };
}
