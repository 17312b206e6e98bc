// How much may be on its way to the server and not answered yet. It bounds the memory of a delivery whatever the size
// of its batch, and stays below what a server takes at once before it refuses (10,000 messages of a stream since 2.11).

const messagesMax = 1_000;
const bytesMax = 8 * 1024 * 1024;

export class Flight {
  #messages = 0;
  #bytes = 0;
  #wake: () => void = () => undefined;

  /** To be called when the answer is there. */
  begin(bytes: number): () => void {
    this.#messages += 1;
    this.#bytes += bytes;
    return () => {
      this.#messages -= 1;
      this.#bytes -= bytes;
      this.#wake();
    };
  }

  get hasRoom(): boolean {
    return this.#messages < messagesMax && this.#bytes < bytesMax;
  }

  get isEmpty(): boolean {
    return this.#messages === 0;
  }

  /** Resolves when it is so. One waits at a time. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
