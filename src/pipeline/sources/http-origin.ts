// Pages in browsers. A listener on loopback is reachable from every page that a person on this machine has open, so a
// request with an `Origin` is refused unless the config allows it; then the answers are such that the browser lets the
// page see them.

import type { IncomingMessage } from 'node:http';
import type { HttpAnswer, Refusal } from './http-answer.ts';

export type OriginVerdict =
  /** No page sent it. */
  | { readonly kind: 'none' }
  /** `headers` belong on every answer. */
  | { readonly kind: 'allowed'; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** `*` among the allowed origins stands for all. */
export function judgeOrigin({ headers }: IncomingMessage, allowed: readonly string[]): OriginVerdict {
  const { origin } = headers;
  if (origin === undefined) return { kind: 'none' };
  if (allowed.includes('*') || allowed.includes(origin)) {
    return { kind: 'allowed', headers: { 'access-control-allow-origin': origin, vary: 'Origin' } };
  }
  const message = 'requests of web pages are refused: the origin is not in allowed_origins';
  return { kind: 'refused', refusal: { status: 403, message } };
}

/** The answer to a browser that asks beforehand what it may send, or undefined if it does not ask. */
export function answerPreflight({ method, headers }: IncomingMessage): HttpAnswer | undefined {
  if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return undefined;
  const asked = headers['access-control-request-headers'];
  return {
    status: 204,
    headers: {
      'access-control-allow-methods': 'POST',
      ...(asked === undefined ? {} : { 'access-control-allow-headers': asked }),
      'access-control-max-age': '3600',
    },
    body: '',
  };
}
