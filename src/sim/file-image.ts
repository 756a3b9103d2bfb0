/** The bytes of a file in memory: grows by doubling, holes read as zeros. */
export class FileImage {
  #bytes: Uint8Array<ArrayBuffer>;
  #sizeBytes: number;

  constructor(content: Uint8Array = new Uint8Array(0)) {
    this.#bytes = new Uint8Array(content);
    this.#sizeBytes = content.byteLength;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** A view of the content; valid until the next change. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#sizeBytes);
  }

  copy(): FileImage {
    return new FileImage(this.view());
  }

  write(data: Uint8Array, position: number): void {
    if (data.byteLength === 0) return;
    this.extend(position + data.byteLength);
    this.#bytes.set(data, position);
  }

  /** Fills `target` from `position`; answers the bytes read. */
  read(target: Uint8Array, position: number): number {
    const found = this.view().subarray(position, position + target.byteLength);
    target.set(found);
    return found.byteLength;
  }

  /** Grows with zeros to at least `sizeBytes`. */
  extend(sizeBytes: number): void {
    if (sizeBytes <= this.#sizeBytes) return;
    if (sizeBytes > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(sizeBytes, this.#bytes.byteLength * 2, 64));
      grown.set(this.view());
      this.#bytes = grown;
    }
    this.#sizeBytes = sizeBytes;
  }

  truncate(sizeBytes: number): void {
    this.extend(sizeBytes);
    // What is cut off must be zero if the file grows again.
    this.#bytes.fill(0, sizeBytes, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  /** Inverts one bit. Nothing happens past the end: rot needs a sector to sit in. */
  flipBit(bit: number): void {
    const index = Math.floor(bit / 8);
    const byte = this.#bytes[index];
    if (byte !== undefined && index < this.#sizeBytes) this.#bytes[index] = byte ^ (1 << (bit % 8));
  }
}
