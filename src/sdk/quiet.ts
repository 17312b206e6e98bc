// Work that leaves no spans: an instrumented application would otherwise trace the export of its own traces, without
// end. The SDK's tracer makes no spans in a context that holds this key; the official exporters rely on the same.
//
// Wrapped is every way in: what an export begins (the buffer's files) and every request (its socket). What these start,
// timers and callbacks included, inherits the context.

import type { Api } from './optional-peers.ts';

/** Runs `work` so that nothing it starts is traced. */
export type Quiet = <Result>(work: () => Result) => Result;

/** The API makes equal keys of equal descriptions, whichever copy of it is asked. */
const description = 'OpenTelemetry SDK Context Key SUPPRESS_TRACING';

export function quietBy({ context, createContextKey }: Api): Quiet {
  const key = createContextKey(description);
  return (work) => context.with(context.active().setValue(key, true), work);
}
