// A parameter with many values: a one-dimensional array of texts in PostgreSQL's binary form, which needs no quoting.
//
//   int32 dimensions (1)  int32 has nulls  int32 type of the elements (25, text)  int32 count  int32 first index (1)
//   for each element: int32 byte length, or -1 for NULL, and the bytes

const headerBytes = 20;
const textType = 25;

export class TextArray {
  #bytes: Buffer = Buffer.allocUnsafe(4096);
  #end = headerBytes;
  #count = 0;
  #hasNulls = false;

  get byteLength(): number {
    return this.#end;
  }

  add(text: string | undefined): void {
    this.#count += 1;
    const byteLength = text === undefined ? 0 : Buffer.byteLength(text);
    this.#makeRoom(4 + byteLength);
    this.#end = this.#bytes.writeInt32BE(text === undefined ? -1 : byteLength, this.#end);
    if (text === undefined) this.#hasNulls = true;
    else this.#end += this.#bytes.write(text, this.#end);
  }

  /** What was added so far. Valid until more is added. */
  encode(): Buffer {
    const fields = [1, this.#hasNulls ? 1 : 0, textType, this.#count, 1];
    for (const [index, field] of fields.entries()) this.#bytes.writeInt32BE(field, index * 4);
    return this.#bytes.subarray(0, this.#end);
  }

  #makeRoom(byteLength: number): void {
    if (this.#end + byteLength <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + byteLength));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}
