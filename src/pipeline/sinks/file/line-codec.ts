// A batch as lines. Each ends with a newline, and none holds another one.

import { requestToJson } from '../../../otlp/json.ts';
import type { SinkBatch } from '../../contract/sink.ts';
import { plainLines } from '../console/event-line.ts';

/** `otlp_json`: a record a line. `text`: an event a line. Undefined if a record is no OTLP request of its signal. */
export function linesOf(codec: 'otlp_json' | 'text', batch: SinkBatch): Uint8Array | undefined {
  const lines: string[] = [];
  for (const { bytes } of batch.records) {
    if (codec === 'otlp_json') {
      const json = requestToJson(batch.signal, bytes);
      if (json === undefined) return undefined;
      lines.push(json);
    } else {
      const texts = plainLines(batch.signal, bytes);
      if (texts === undefined) return undefined;
      for (const text of texts) lines.push(text); // Spread, a hundred thousand of them would overflow the stack.
    }
  }
  return new TextEncoder().encode(`${lines.join('\n')}\n`);
}
