// What the writer tells the tour, over a pipe, while it lives. Only what has arrived counts as promised: the writer
// reports after `append` has resolved, and the pipe belongs to the operating system, so a kill takes nothing back.

export const reportKinds = { progress: 1, accepted: 2, delivered: 3 } as const;

/** How far the writer is; a few times a second. */
export type Progress = {
  readonly appended: number;
  readonly accepted: number;
  readonly payloadBytes: number;
  readonly diskBytes: number;
  readonly syncs: number;
  readonly elapsedMs: number;
};

/** Numbers of an accepted report per record: the record's number, its id, microseconds until it was accepted. */
export const acceptedFields = 3;
/** Numbers of a delivered report per record: the record's number, its id. */
export const deliveredFields = 2;

export type Report =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'accepted' | 'delivered'; readonly numbers: Uint32Array };

const headerBytes = 8;

export function encodeReport(kind: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerBytes + body.length);
  const header = new DataView(bytes.buffer);
  header.setUint32(0, kind);
  header.setUint32(4, body.length);
  bytes.set(body, headerBytes);
  return bytes;
}

/** Takes the pipe's bytes as they come and hands out whole reports; half a report at the end was never made. */
export class ReportReader {
  #rest: Uint8Array = new Uint8Array(0);

  *read(chunk: Uint8Array): Generator<Report> {
    // Always a copy: what a stream hands out may be a Buffer, whose `slice` would give views into a shared pool.
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    const view = new DataView(bytes.buffer);
    let at = 0;
    while (bytes.length - at >= headerBytes && bytes.length - at >= headerBytes + view.getUint32(at + 4)) {
      const end = at + headerBytes + view.getUint32(at + 4);
      yield decode(view.getUint32(at), bytes.slice(at + headerBytes, end));
      at = end;
    }
    this.#rest = bytes.slice(at);
  }
}

function decode(kind: number, body: Uint8Array): Report {
  if (kind === reportKinds.progress) {
    return { kind: 'progress', progress: JSON.parse(new TextDecoder().decode(body)) as Progress };
  }
  const numbers = new Uint32Array(body.buffer);
  return { kind: kind === reportKinds.accepted ? 'accepted' : 'delivered', numbers };
}
