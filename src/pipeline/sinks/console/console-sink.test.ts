import { expect, it } from 'vitest';
import type { ZodType } from 'zod';
import { encodeRequest } from '../../../otlp/encode.ts';
import type { OutputResult, OutputStream } from '../../../platform/output-stream.ts';
import { testSinkContext } from '../../../testing/pipeline-contexts.ts';
import type { SinkBatch } from '../../contract/sink.ts';
import { ConsoleSink, consoleSink } from './console-sink.ts';

function batchOf(bytes: Uint8Array): SinkBatch {
  const records = [{ signal: 'logs', bytes, events: 1, id: 1, origin: 'o/1' }] as const;
  return { signal: 'logs', records, events: 1, byteLength: bytes.length, merged: () => bytes };
}

function logOf(stringValue: string): SinkBatch {
  return batchOf(
    encodeRequest('logs', { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue } }] }] }] }),
  );
}

/** Takes texts when told. */
class HeldOutput implements OutputStream {
  readonly name = 'stdout';
  readonly texts: string[] = [];
  hasColor = false;
  #take: ((result: OutputResult) => void) | undefined;

  write(text: string): Promise<OutputResult> {
    this.texts.push(text);
    return new Promise((resolve) => {
      this.#take = resolve;
    });
  }

  take(result: OutputResult = 'written'): void {
    this.#take?.(result);
  }
}

function rig(given: object = {}) {
  const output = new HeldOutput();
  const context = testSinkContext();
  const sink = new ConsoleSink((consoleSink.schema as ZodType).parse(given) as never, context, output);
  const stopping = new AbortController();
  return { output, sink, stopping, options: { signal: stopping.signal }, sim: context.world.sim };
}

it('answers when the stream has taken the lines, not before', async () => {
  const { output, sink, options } = rig();
  const answer = sink.deliver(logOf('hello'), options);
  let isAnswered = false;
  void answer.then(() => {
    isAnswered = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isAnswered).toBe(false);
  output.take();
  expect(await answer).toEqual({ kind: 'delivered' });
  expect(output.texts).toEqual(['-             log     -             -             hello\n']);
});

it('prints JSON for other programs, and colours for terminals only', async () => {
  const { output, sink, options } = rig({ encoding: { codec: 'json' } });
  const answer = sink.deliver(logOf('hello'), options);
  output.take();
  await answer;
  const event = { body: { stringValue: 'hello' } };
  expect(JSON.parse(output.texts[0] ?? '')).toEqual({ signal: 'logs', resource: {}, scope: {}, event });
  const coloured = rig();
  coloured.output.hasColor = true;
  void coloured.sink.deliver(logOf('hello'), coloured.options);
  expect(coloured.output.texts[0]).toContain('\u001b[');
});

it('is blocked when the reader has gone', async () => {
  const { output, sink, options } = rig();
  const answer = sink.deliver(logOf('hello'), options);
  output.take('closed');
  expect(await answer).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('stdout') });
});

it('gives up waiting when told, and has never more than one text in the stream', async () => {
  const { output, sink, options, stopping } = rig();
  const first = sink.deliver(logOf('one'), options);
  stopping.abort();
  expect(await first).toMatchObject({ kind: 'retryable' });
  const later = { signal: new AbortController().signal };
  const second = sink.deliver(logOf('two'), later);
  await new Promise((resolve) => setImmediate(resolve));
  expect(output.texts).toHaveLength(1);
  output.take();
  await new Promise((resolve) => setImmediate(resolve));
  expect(output.texts).toHaveLength(2);
  output.take();
  expect(await second).toEqual({ kind: 'delivered' });
});

it('waits no longer than the time-out, and prints nothing twice when it comes again', async () => {
  const { output, sink, options, sim } = rig();
  expect(await sim.run(sink.deliver(logOf('one'), options))).toMatchObject({ kind: 'retryable' });
  expect(sim.timeMs).toBe(5_000);
  expect(await sim.run(sink.deliver(logOf('other'), options))).toMatchObject({ kind: 'retryable' });
  const again = sink.deliver(logOf('one'), options);
  output.take();
  expect(await again).toEqual({ kind: 'delivered' });
  expect(output.texts).toHaveLength(1);
  expect(sim.pending()).toEqual([]);
});

it('rejects what is no request', async () => {
  const { sink, options } = rig();
  expect(await sink.deliver(batchOf(Uint8Array.of(10, 255)), options)).toMatchObject({ kind: 'rejected' });
});

it('is made for the standard streams', () => {
  const options = (consoleSink.schema as ZodType).parse({ target: 'stderr' });
  expect(consoleSink.create(options as never, testSinkContext())).toBeInstanceOf(ConsoleSink);
  expect((consoleSink.schema as ZodType).safeParse({ target: 'printer' }).success).toBe(false);
});
