// What arrived, counted by the numbers that the events carry: which ones, how many, and how many of them again.
//
// The source `generate` gives each event a number, from 1 in every life of the pipeline, and names that life. Both
// stand in the bytes of the request as attributes, and are found there without decoding the rest.

const runKey = Buffer.from('spillway.generate.run');
const sequenceKey = Buffer.from('spillway.generate.sequence');

export class Tally {
  readonly #runs = new Map<string, Set<number>>();
  #received = 0;
  #repeated = 0;

  /** Different events. */
  get received(): number {
    return this.#received;
  }

  /** Arrivals of events that were there already. */
  get repeated(): number {
    return this.#repeated;
  }

  /** Takes the bytes of an OTLP protobuf request. */
  take(request: Buffer): void {
    let runAt = request.indexOf(runKey);
    let seen = this.#seenOf(request, runAt);
    for (let at = request.indexOf(sequenceKey); at >= 0; at = request.indexOf(sequenceKey, at + 1)) {
      // Requests are joined by concatenation: events of a later life may stand behind those of an earlier one.
      for (
        let next = request.indexOf(runKey, runAt + 1);
        next >= 0 && next < at;
        next = request.indexOf(runKey, runAt + 1)
      ) {
        runAt = next;
        seen = this.#seenOf(request, runAt);
      }
      this.#count(seen, integerBehind(request, at + sequenceKey.length));
    }
  }

  #seenOf(request: Buffer, runAt: number): Set<number> {
    const run = runAt < 0 ? '' : textBehind(request, runAt + runKey.length);
    const seen = this.#runs.get(run) ?? new Set();
    this.#runs.set(run, seen);
    return seen;
  }

  #count(seen: Set<number>, sequence: number): void {
    if (seen.has(sequence)) this.#repeated += 1;
    else this.#received += 1;
    seen.add(sequence);
  }
}

// Behind the key of an attribute stands its value: field 2 of KeyValue (byte 0x12), a length, and the one field of an
// AnyValue: 1 for a string, 3 for an integer. Source: opentelemetry-proto, common/v1.

function textBehind(request: Buffer, at: number): string {
  const length = request[at + 3] ?? 0;
  return request.toString('latin1', at + 4, at + 4 + length);
}

function integerBehind(request: Buffer, at: number): number {
  let value = 0;
  let factor = 1;
  for (let offset = at + 3; ; offset += 1) {
    const byte = request[offset] ?? 0;
    value += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte < 0x80) return value;
  }
}
