// Spans of what takes time and happens often: one in so many, so that they cost what somebody is willing to pay.
//
// The first is taken, then every 1/ratio-th: no chance is involved. The SDK's sampler decides once more. Without an SDK
// the tracer of the API makes spans that are nothing.

import type { Attributes, HrTime, Span, Tracer, TracerProvider } from '@opentelemetry/api';

export interface SpanOptions {
  readonly provider: TracerProvider;
  /** How many of those that could be made are made, 0 .. 1. */
  readonly ratio: number;
}

export interface OpenSpan {
  /** `error`: what it failed with, for `error.type` and the status. */
  end(attributes: Attributes, error?: { readonly type: string; readonly message: string }): void;
}

/** The API's values, which are part of OTLP: importing them would load the API. */
const client = 2;
const failed = 2;

export class SampledSpans {
  readonly #tracer: Tracer;
  readonly #ratio: number;
  #due = 1;

  constructor({ provider, ratio }: SpanOptions) {
    this.#tracer = provider.getTracer('spillway');
    this.#ratio = ratio;
  }

  /** Of a call to somebody else, from now on; undefined if this one is not taken. */
  begin(name: string, attributes: Attributes): OpenSpan | undefined {
    if (!this.#takes()) return undefined;
    // A root: what happens to run at this moment did not cause it.
    const span = this.#tracer.startSpan(name, { kind: client, attributes, root: true });
    return { end: (more, error) => endSpan(span, more, error) };
  }

  /** Of what is over; times in milliseconds since 1970-01-01 UTC, `marks` between them by name. */
  add(options: {
    readonly name: string;
    readonly fromMs: number;
    readonly toMs: number;
    readonly attributes: Attributes;
    readonly marks?: Readonly<Record<string, number>>;
  }): void {
    if (!this.#takes()) return;
    const { name, fromMs, toMs, attributes, marks = {} } = options;
    const span = this.#tracer.startSpan(name, { attributes, root: true, startTime: timeOf(fromMs) });
    for (const [mark, atMs] of Object.entries(marks)) span.addEvent(mark, {}, timeOf(atMs));
    span.end(timeOf(toMs));
  }

  #takes(): boolean {
    if (this.#due < 1) {
      this.#due += this.#ratio;
      // 0.1 + 0.1 + ... is a little less than 1: the tenth is meant, not the eleventh.
      if (this.#due < 1 - 1e-9) return false;
    }
    this.#due = Math.max(0, this.#due - 1);
    return this.#ratio > 0;
  }
}

/** Seconds and nanoseconds. A plain number would be read as time since the process began if the clock was set back. */
function timeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1_000) * 1e6))];
}

function endSpan(span: Span, attributes: Attributes, error: Parameters<OpenSpan['end']>[1]): void {
  span.setAttributes(attributes);
  if (error !== undefined) {
    span.setAttribute('error.type', error.type);
    span.setStatus({ code: failed, message: error.message });
  }
  span.end();
}
