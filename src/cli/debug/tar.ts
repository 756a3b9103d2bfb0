/** A file of an archive. */
export interface TarEntry {
  /** Relative, with "/", at most 100 bytes. */
  readonly name: string;
  readonly content: Buffer;
}

/*
 * ustar: for each file a header of 512 bytes and its content, filled up to a multiple of 512; two empty blocks at the end.
 *
 *   name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link 100, "ustar\0" 6, "00" 2, ...
 *
 * Numbers are octal digits with a zero behind; the checksum is the sum of the header's bytes with blanks in its own place.
 */
const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 100;

/** The files as one archive. `modifiedMs`: of all of them. @throws RangeError for a name that does not fit. */
export function tarArchive(entries: readonly TarEntry[], modifiedMs: number): Buffer {
  const blocks: Buffer[] = [];
  for (const { name, content } of entries) {
    const fill = (BLOCK_BYTES - (content.byteLength % BLOCK_BYTES)) % BLOCK_BYTES;
    blocks.push(header(name, content.byteLength, modifiedMs), content, Buffer.alloc(fill));
  }
  blocks.push(Buffer.alloc(2 * BLOCK_BYTES));
  return Buffer.concat(blocks);
}

function header(name: string, sizeBytes: number, modifiedMs: number): Buffer {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw new RangeError(`${name}: too long for an archive`);
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, at: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, "0"), at, "latin1");
  };
  block.write(name, 0);
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(sizeBytes, 124, 11);
  octal(Math.floor(modifiedMs / 1000), 136, 11);
  block.write(" ".repeat(8), 148, "latin1");
  block.write("0", 156, "latin1");
  block.write("ustar\0" + "00", 257, "latin1");
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  block.write("\0 ", 154, "latin1");
  return block;
}
