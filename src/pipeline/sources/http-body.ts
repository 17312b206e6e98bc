// The body of a request as one piece of bytes, decompressed, or the reason why there is none.
//
// A compressed body is collected first and decompressed then: a slow client holds a few bytes, not a decompressor. What
// comes out is counted while it comes out, so that a bomb costs the limit and no more. A body that arrived in one piece
// and is not compressed is handed on as it is.

import type { IncomingMessage } from 'node:http';
import {
  constants,
  createGunzip,
  createInflate,
  createZstdDecompress,
  gunzipSync,
  inflateSync,
  zstdDecompressSync,
} from 'node:zlib';
import { KiB, MiB } from '../../base/units.ts';
import type { Clock } from '../../platform/clock.ts';
import type { BudgetShare } from './http-budget.ts';

export type BodyCoding = 'identity' | 'gzip' | 'deflate' | 'zstd';

export type BodyResult =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  /** The client went away, or what it sent is no HTTP; nobody is left to answer. */
  | { readonly kind: 'gone' }
  | BodyFailure;

export type BodyFailure =
  | { readonly kind: 'too_large' }
  /** The budget of all requests together is used up. */
  | { readonly kind: 'no_room' }
  | { readonly kind: 'too_slow' }
  | { readonly kind: 'malformed'; readonly reason: string }
  /** `signal` was aborted. */
  | { readonly kind: 'cut' };

export interface BodyOptions {
  readonly coding: BodyCoding;
  /** Of the body as it travels, and of the body after decompression. */
  readonly bytesMax: number;
  readonly timeoutMs: number;
  readonly share: BudgetShare;
  readonly clock: Clock;
  /** Ends the reading early. */
  readonly signal: AbortSignal;
}

/** Never rejects. What the body holds of the budget is still taken when it resolves. */
export async function readBody(request: IncomingMessage, options: BodyOptions): Promise<BodyResult> {
  const received = await receive(request, options);
  if (received.kind !== 'whole' || options.coding === 'identity') return received;
  const result = await decompress(received.bytes, options.coding, options);
  options.share.give(received.bytes.length);
  return result;
}

function receive(request: IncomingMessage, options: BodyOptions): Promise<BodyResult> {
  const { bytesMax, share, signal, clock, timeoutMs } = options;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let byteLength = 0;
    const settle = (result: BodyResult): void => {
      timer.cancel();
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      signal.removeEventListener('abort', onCut);
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      byteLength += chunk.length;
      if (byteLength > bytesMax) settle({ kind: 'too_large' });
      else if (!share.take(chunk.length)) settle({ kind: 'no_room' });
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle({ kind: 'whole', bytes: joined(chunks, byteLength) });
    const onClose = (): void => settle({ kind: 'gone' });
    const onCut = (): void => settle({ kind: 'cut' });
    const timer = clock.setTimer(timeoutMs, () => settle({ kind: 'too_slow' }));
    request.on('data', onData).once('end', onEnd).once('close', onClose);
    signal.addEventListener('abort', onCut);
    if (signal.aborted) onCut();
    else if (request.destroyed) onClose();
  });
}

function joined(chunks: readonly Buffer[], byteLength: number): Uint8Array {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? compact(only) : Buffer.concat(chunks, byteLength);
}

/** A few bytes that keep a large piece of memory alive would hold more than the budget counts. */
function compact(bytes: Buffer): Uint8Array {
  if (bytes.buffer.byteLength <= 2 * bytes.length) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

// RFC 9659: a zstd frame in HTTP needs a window of 8 MiB at most. Without the limit a header of a few bytes would make
// the decompressor take 128 MiB, which no budget sees.
const zstdOptions = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

/** For small bodies a thread costs more than the work; what comes out at once is bounded, so no client can block. */
const atOnce = { inputBytesMax: 16 * KiB, outputBytesMax: 256 * KiB };

type Compressed = Exclude<BodyCoding, 'identity'>;

async function decompress(input: Uint8Array, coding: Compressed, options: BodyOptions): Promise<BodyResult> {
  if (input.length > atOnce.inputBytesMax) return decompressInThread(input, coding, options);
  try {
    const bytes = compact(decompressAtOnce(input, coding, Math.min(atOnce.outputBytesMax, options.bytesMax)));
    return options.share.take(bytes.length) ? { kind: 'whole', bytes } : { kind: 'no_room' };
  } catch (cause) {
    if (!isTooLarge(cause)) return malformed(coding, cause);
    return decompressInThread(input, coding, options);
  }
}

function decompressAtOnce(input: Uint8Array, coding: Compressed, maxOutputLength: number): Buffer {
  switch (coding) {
    case 'gzip':
      return gunzipSync(input, { maxOutputLength });
    case 'deflate':
      return inflateSync(input, { maxOutputLength });
    case 'zstd':
      return zstdDecompressSync(input, { ...zstdOptions, maxOutputLength });
  }
}

function isTooLarge(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
}

function decompressorOf(coding: Compressed, chunkSize: number): ReturnType<typeof createGunzip> {
  switch (coding) {
    case 'gzip':
      return createGunzip({ chunkSize });
    case 'deflate':
      return createInflate({ chunkSize });
    case 'zstd':
      return createZstdDecompress({ ...zstdOptions, chunkSize });
  }
}

function decompressInThread(input: Uint8Array, coding: Compressed, options: BodyOptions): Promise<BodyResult> {
  const { bytesMax, share } = options;
  return new Promise((resolve) => {
    // Four times the input is usual for telemetry; larger steps would only make a bomb's last step larger.
    const decompressor = decompressorOf(coding, Math.min(MiB, 4 * input.length));
    const chunks: Buffer[] = [];
    let byteLength = 0;
    const settle = (result: BodyResult): void => {
      decompressor.removeAllListeners('data').removeAllListeners('end');
      decompressor.destroy();
      resolve(result);
    };
    decompressor.on('data', (chunk: Buffer) => {
      byteLength += chunk.length;
      if (byteLength > bytesMax) settle({ kind: 'too_large' });
      else if (!share.take(chunk.length)) settle({ kind: 'no_room' });
      else chunks.push(chunk);
    });
    decompressor.once('end', () => settle({ kind: 'whole', bytes: joined(chunks, byteLength) }));
    decompressor.on('error', (cause) => settle(malformed(coding, cause)));
    decompressor.end(input);
  });
}

function malformed(coding: Compressed, cause: unknown): BodyResult {
  const reason = `the body is not ${coding}: ${cause instanceof Error ? cause.message : String(cause)}`;
  return { kind: 'malformed', reason };
}
