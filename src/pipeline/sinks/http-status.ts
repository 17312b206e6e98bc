// What HTTP answers mean to a sink, whatever it sends.

import type { SinkAnswer } from '../contract/sink.ts';

/** A peer that names a longer time is asked again after this one all the same: it may have been a mistake. */
const retryAfterMsMax = 60 * 60_000;

/** Any status but 2xx. `reason` says the status, too. */
export function answerOfStatus(status: number, reason: string, afterMs: number | undefined): SinkAnswer {
  if (status === 413) return { kind: 'too_large', reason };
  if (status === 400 || status === 422) return { kind: 'rejected', reason };
  if (status === 408 || status === 429 || status >= 500) {
    return afterMs === undefined ? { kind: 'retryable', reason } : { kind: 'retryable', reason, afterMs };
  }
  // Redirects included: whoever moved has to be named in the config, or data would follow any 302. All that is not
  // known is `blocked` as well, the one answer that loses nothing.
  return { kind: 'blocked', reason };
}

/** Milliseconds from now that `Retry-After` names, in seconds or as a date; undefined: none, or none that helps. */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = (Array.isArray(header) ? header[0] : header)?.trim() ?? '';
  const afterMs = /^\d+$/.test(text)
    ? Number(text) * 1000
    : /[a-z]/i.test(text)
      ? Date.parse(text) - nowMs
      : Number.NaN;
  return afterMs > 0 ? Math.min(afterMs, retryAfterMsMax) : undefined;
}

/** Text of a peer, fit for one line of a log: no control characters, not long. */
export function peerText(text: string, lengthMax = 300): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out.
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length <= lengthMax ? line : `${line.slice(0, lengthMax)}...`;
}
