import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";

import { lz4Compress, snappyCompress } from "@platformatic/wasm-utils";

import { asBuffer } from "../base/bytes.ts";
import { errorMessage } from "../base/errors.ts";
import { ProtocolError } from "./error-code.ts";
import { decompressLz4Frames } from "./lz4-frame.ts";
import { decompressSnappy, frameXerial } from "./snappy.ts";
import { splitZstdFrames } from "./zstd-frame.ts";

/** How the records of a batch are compressed. */
export type Codec = "none" | "gzip" | "snappy" | "lz4" | "zstd";

/** All codecs; the index of each is its id in the batch attributes. */
export const CODECS: readonly Codec[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** The id of a codec in the low three bits of the batch attributes. */
export function codecId(codec: Codec): number {
  return CODECS.indexOf(codec);
}

/** The codec of an id, or undefined for the ids 5 to 7, which nothing uses. */
export function codecOf(id: number): Codec | undefined {
  return CODECS[id];
}

/** Bounds of a compression level, inclusive. Codecs without a level are absent. */
export const COMPRESSION_LEVELS = {
  gzip: { min: 1, max: 9, default: 6 },
  zstd: { min: 1, max: 22, default: 3 },
} as const;

/**
 * Compresses `bytes` as one block in the form that Kafka's Java client writes: a gzip member, xerial-framed snappy, an
 * lz4 frame of independent blocks, a zstd frame. `level` counts for gzip and zstd only. "none" answers the same memory.
 */
export function compress(codec: Codec, bytes: Uint8Array, level?: number): Buffer {
  switch (codec) {
    case "none":
      return asBuffer(bytes);
    case "gzip":
      return gzipSync(bytes, { level: level ?? COMPRESSION_LEVELS.gzip.default });
    case "snappy":
      return frameXerial(bytes, (block) => snappyCompress(asBuffer(block)));
    case "lz4":
      return lz4Compress(asBuffer(bytes));
    case "zstd":
      return zstdCompressSync(bytes, {
        params: { [constants.ZSTD_c_compressionLevel]: level ?? COMPRESSION_LEVELS.zstd.default },
      });
  }
}

/**
 * Inflates what any Kafka client wrote. Never takes memory for more than `maxBytes` of output, whatever the data
 * declares (H70). "none" answers the same memory. @throws ProtocolError CORRUPT_MESSAGE when the data is damaged or cut
 * off, MESSAGE_TOO_LARGE when it inflates past `maxBytes`.
 */
export function decompress(codec: Codec, bytes: Uint8Array, options: { readonly maxBytes: number }): Buffer {
  const source = asBuffer(bytes);
  const { maxBytes } = options;
  switch (codec) {
    case "none":
      if (source.length > maxBytes) throw tooLarge(codec, maxBytes);
      return source;
    case "gzip":
      return inflate(codec, maxBytes, () => gunzipSync(source, { maxOutputLength: Math.max(maxBytes, 1) }));
    case "snappy":
      return decompressSnappy(source, maxBytes);
    case "lz4":
      return decompressLz4Frames(source, maxBytes);
    case "zstd":
      return decompressZstd(source, maxBytes);
  }
}

function decompressZstd(source: Buffer, maxBytes: number): Buffer {
  const frames = splitZstdFrames(source);
  let left = maxBytes;
  const parts = frames.map((frame) => {
    const part = inflate("zstd", maxBytes, () =>
      zstdDecompressSync(frame, { maxOutputLength: Math.max(left, 1) }),
    );
    left -= part.length;
    if (left < 0) throw tooLarge("zstd", maxBytes);
    return part;
  });
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}

/** Runs one of Node's decompressors and turns its errors into ours. */
function inflate(codec: Codec, maxBytes: number, run: () => Buffer): Buffer {
  let inflated: Buffer;
  try {
    inflated = run();
  } catch (cause) {
    if (cause instanceof RangeError && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE") {
      throw tooLarge(codec, maxBytes);
    }
    throw new ProtocolError("CORRUPT_MESSAGE", `damaged ${codec} data: ${errorMessage(cause)}`, { cause });
  }
  // Node takes no limit below 1, so a limit of 0 is checked here.
  if (inflated.length > maxBytes) throw tooLarge(codec, maxBytes);
  return inflated;
}

function tooLarge(codec: Codec, maxBytes: number): ProtocolError {
  return new ProtocolError(
    "MESSAGE_TOO_LARGE",
    `${codec} data inflates past the limit of ${maxBytes} bytes`,
    {
      context: { codec, maxBytes },
    },
  );
}
