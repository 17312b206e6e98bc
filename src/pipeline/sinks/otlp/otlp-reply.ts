// What an OTLP receiver's reply means: the answer for the driver, with the receiver's own words in it.
//
// A 200 counts only if the reply is OTLP, or empty, as many receivers send it. A portal or a proxy that answers every
// request with a page and 200 would otherwise swallow all that is behind the sink.

import { decodePartialSuccess, decodeStatusMessage, type ResponseEncoding } from '../../../otlp/response.ts';
import type { Signal } from '../../../otlp/signal.ts';
import type { SinkAnswer } from '../../contract/sink.ts';
import type { HttpReply } from '../http-client.ts';
import { answerOfStatus, peerText, retryAfterMs } from '../http-status.ts';

export interface Reply {
  readonly answer: SinkAnswer;
  /** Something to tell the operator although everything was taken. */
  readonly warning?: string;
}

export interface ReplyOptions {
  readonly signal: Signal;
  /** In the request: no more can be refused. */
  readonly events: number;
  /** The URL, fit to be shown. */
  readonly peer: string;
  readonly nowMs: number;
}

export function readReply(reply: HttpReply, options: ReplyOptions): Reply {
  const { status, headers } = reply;
  if (status >= 200 && status < 300) return readSuccess(reply, options);
  const location = status >= 300 && status < 400 ? redirectText(headers['location'], options.peer) : '';
  const reason = `${options.peer} answered ${status}${location}${wordsOf(reply)}`;
  return { answer: answerOfStatus(status, reason, retryAfterMs(headers['retry-after'], options.nowMs)) };
}

function readSuccess(reply: HttpReply, { signal, peer, events }: ReplyOptions): Reply {
  if (reply.body.length === 0) return { answer: { kind: 'delivered' } };
  const type = contentTypeOf(reply);
  const encoding = encodingOf(type);
  if (encoding === undefined) {
    return { answer: noOtlp(peer, reply.status, type === '' ? 'bytes without a content-type' : peerText(type, 80)) };
  }
  if (!reply.isWhole) {
    const warning = `${peer} took a request with an answer that is too long to read: it may have refused a part.`;
    return { answer: { kind: 'delivered' }, warning };
  }
  const decoded = decodePartialSuccess(signal, reply.body, encoding);
  if (!decoded.ok) return { answer: noOtlp(peer, reply.status, `${type} that cannot be decoded`) };
  const { partial } = decoded;
  if (partial === undefined) return { answer: { kind: 'delivered' } };
  const reason = peerText(partial.message);
  const refused = Math.min(partial.rejected, events);
  if (refused > 0) return { answer: { kind: 'delivered', refused: { events: refused, reason } } };
  return reason === '' ? { answer: { kind: 'delivered' } } : { answer: { kind: 'delivered' }, warning: reason };
}

function noOtlp(peer: string, status: number, found: string): SinkAnswer {
  const reason = `${peer} answered ${status} with ${found}: no OTLP receiver is there, perhaps a proxy or a portal`;
  return { kind: 'blocked', reason };
}

function contentTypeOf({ headers }: HttpReply): string {
  const header = headers['content-type'];
  const text = Array.isArray(header) ? (header[0] ?? '') : (header ?? '');
  return text.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function encodingOf(type: string): ResponseEncoding | undefined {
  if (type === 'application/x-protobuf' || type === 'application/protobuf') return 'protobuf';
  return type === 'application/json' ? 'json' : undefined;
}

/** The message of a google.rpc.Status, or plain text; nothing of a page. */
function wordsOf(reply: HttpReply): string {
  const type = contentTypeOf(reply);
  const encoding = encodingOf(type);
  const words =
    encoding === undefined
      ? type === 'text/plain' && new TextDecoder().decode(reply.body)
      : reply.isWhole && decodeStatusMessage(reply.body, encoding);
  const text = peerText(words || '');
  return text === '' ? '' : `: ${text}`;
}

function redirectText(location: string | string[] | undefined, peer: string): string {
  const target = Array.isArray(location) ? location[0] : location;
  if (target === undefined || !URL.canParse(target, peer)) return ', a redirect';
  const { origin, pathname } = new URL(target, peer);
  return `, a redirect to ${peerText(`${origin}${pathname}`)}: name the new address in the config`;
}
