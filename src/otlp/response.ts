// What OTLP servers answer: Export*ServiceResponse with its partial success when they take a request, google.rpc.Status
// when they refuse it. In the encoding of the request, as the protocol wants it.
import { decodeMessage } from './decode.ts';
import { encodeMessage, Unfit } from './encode.ts';
import { type Message, messageOf } from './schema.ts';
import type { Signal } from './signal.ts';

export type ResponseEncoding = 'protobuf' | 'json';

/** What was not taken of a request that was answered with success. 0 and a message: a warning. */
export interface PartialSuccess {
  readonly rejected: number;
  readonly message: string;
}

/** `partial` is undefined when everything was taken. Not ok: the bytes are no response of this signal. */
export type DecodedResponse =
  | { readonly ok: true; readonly partial: PartialSuccess | undefined }
  | { readonly ok: false };

interface Shape {
  readonly message: Message;
  readonly rejected: string;
}

const shapes: Readonly<Record<Signal, Shape>> = {
  logs: { message: messageOf('LogsResponse'), rejected: 'rejectedLogRecords' },
  traces: { message: messageOf('TracesResponse'), rejected: 'rejectedSpans' },
  metrics: { message: messageOf('MetricsResponse'), rejected: 'rejectedDataPoints' },
};
const status = messageOf('RpcStatus');

/** The body of an answer that takes a request; undefined: all of it. */
export function encodePartialSuccess(
  signal: Signal,
  partial: PartialSuccess | undefined,
  encoding: ResponseEncoding,
): Uint8Array {
  const { message, rejected } = shapes[signal];
  if (partial === undefined) return encode(message, {}, encoding);
  const partialSuccess = { [rejected]: String(partial.rejected), errorMessage: partial.message };
  return encode(message, { partialSuccess }, encoding);
}

export function decodePartialSuccess(signal: Signal, bytes: Uint8Array, encoding: ResponseEncoding): DecodedResponse {
  const { message, rejected } = shapes[signal];
  const response = decode(message, bytes, encoding);
  if (response === undefined) return { ok: false };
  const partial = response['partialSuccess'] as Readonly<Record<string, unknown>> | undefined;
  const count = Number(partial?.[rejected] ?? 0);
  const text = String(partial?.['errorMessage'] ?? '');
  return { ok: true, partial: count === 0 && text === '' ? undefined : { rejected: count, message: text } };
}

/** The body of an answer that refuses a request; `code` is one of gRPC's. */
export function encodeStatus(
  { code, message }: { readonly code: number; readonly message: string },
  encoding: ResponseEncoding,
): Uint8Array {
  return encode(status, { code, message }, encoding);
}

/** Why a request was refused; undefined: the bytes do not say, or are none of ours. */
export function decodeStatusMessage(bytes: Uint8Array, encoding: ResponseEncoding): string | undefined {
  const text = decode(status, bytes, encoding)?.['message'];
  return typeof text === 'string' && text !== '' ? text : undefined;
}

function encode(message: Message, value: object, encoding: ResponseEncoding): Uint8Array {
  return encoding === 'protobuf' ? encodeMessage(message, value) : new TextEncoder().encode(JSON.stringify(value));
}

/** JSON goes through protobuf: then both are judged by the same table. */
function decode(message: Message, bytes: Uint8Array, encoding: ResponseEncoding): Record<string, unknown> | undefined {
  const binary = encoding === 'protobuf' ? bytes : protobufOf(message, bytes);
  return binary === undefined ? undefined : (decodeMessage(message, binary) as Record<string, unknown> | undefined);
}

function protobufOf(message: Message, bytes: Uint8Array): Uint8Array | undefined {
  try {
    return encodeMessage(message, JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    if (error instanceof Unfit || error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}
