// The body of a request as one piece of bytes, decompressed, or the reason why there is none.
//
// A compressed body is collected first and decompressed then: a slow client holds a few bytes, not a decompressor. What
// comes out is counted while it comes out, so that a bomb costs the limit and no more. A body that arrived in one piece
// and is not compressed is handed on as it is.
//
// Node's decompressors end where a zstd frame or a zlib stream ends, and pass over what is behind it. Nothing may be
// answered with 200 and left out: frames are taken one after the other, as RFC 8878 has them, and all else is refused.

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

/** Each costs a decompressor. Encoders that work in parallel make some; a flood of empty ones would take minutes. */
const framesMax = 256;

type FrameResult = { readonly kind: 'whole'; readonly bytes: Uint8Array; readonly consumedBytes: number } | BodyFailure;

async function decompress(input: Uint8Array, coding: Compressed, options: BodyOptions): Promise<BodyResult> {
  const parts: Uint8Array[] = [];
  let byteLength = 0;
  let rest = input;
  while (parts.length < framesMax) {
    const frame = await decompressFrame(rest, coding, { ...options, bytesMax: options.bytesMax - byteLength });
    if (frame.kind !== 'whole') return frame;
    parts.push(frame.bytes);
    byteLength += frame.bytes.length;
    rest = rest.subarray(frame.consumedBytes);
    // zlib itself takes all members of gzip, and refuses what is none but zeros.
    if (rest.length === 0 || coding === 'gzip') return { kind: 'whole', bytes: whole(parts, byteLength) };
    if (coding === 'deflate') break;
  }
  return { kind: 'malformed', reason: `the body is not ${coding}: there is more behind its end` };
}

function whole(parts: readonly Uint8Array[], byteLength: number): Uint8Array {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, byteLength);
}

async function decompressFrame(input: Uint8Array, coding: Compressed, options: BodyOptions): Promise<FrameResult> {
  if (input.length > atOnce.inputBytesMax || options.bytesMax === 0) return decompressInThread(input, coding, options);
  try {
    const limit = Math.min(atOnce.outputBytesMax, options.bytesMax);
    const { buffer, engine } = decompressAtOnce(input, coding, limit);
    const bytes = compact(buffer);
    if (!options.share.take(bytes.length)) return { kind: 'no_room' };
    return { kind: 'whole', bytes, consumedBytes: engine.bytesWritten };
  } catch (cause) {
    if (!isTooLarge(cause)) return malformed(coding, cause);
    return decompressInThread(input, coding, options);
  }
}

/** What Node gives for `info: true`, which its types do not know. */
interface Informed {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

function decompressAtOnce(input: Uint8Array, coding: Compressed, maxOutputLength: number): Informed {
  const options = { maxOutputLength, info: true };
  switch (coding) {
    case 'gzip':
      return gunzipSync(input, options) as unknown as Informed;
    case 'deflate':
      return inflateSync(input, options) as unknown as Informed;
    case 'zstd':
      return zstdDecompressSync(input, { ...zstdOptions, ...options }) as unknown as Informed;
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

function decompressInThread(input: Uint8Array, coding: Compressed, options: BodyOptions): Promise<FrameResult> {
  const { bytesMax, share } = options;
  return new Promise((resolve) => {
    // Four times the input is usual for telemetry; larger steps would only make a bomb's last step larger.
    const decompressor = decompressorOf(coding, Math.min(MiB, Math.max(KiB, 4 * input.length)));
    const chunks: Buffer[] = [];
    let byteLength = 0;
    const settle = (result: FrameResult): void => {
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
    decompressor.once('end', () => {
      settle({ kind: 'whole', bytes: joined(chunks, byteLength), consumedBytes: decompressor.bytesWritten });
    });
    decompressor.on('error', (cause) => settle(malformed(coding, cause)));
    decompressor.end(input);
  });
}

function malformed(coding: Compressed, cause: unknown): BodyFailure {
  const reason = `the body is not ${coding}: ${cause instanceof Error ? cause.message : String(cause)}`;
  return { kind: 'malformed', reason };
}
