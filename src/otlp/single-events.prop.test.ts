// One event of many must look as if it had come alone: held against the long way, which cuts the request into single
// ones and decodes each of them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryFutureRequest } from '../../test/otlp/arbitrary-request.ts';
import { independentEncode } from '../../test/otlp/independent-proto.ts';
import { splitEvents } from '../../test/otlp/split-events.ts';
import { countEvents } from './count.ts';
import { eachEvent } from './decode.ts';
import { requestToJson } from './json.ts';
import { type Signal, signals } from './signal.ts';
import { SingleEvents } from './single-events.ts';

/** Several requests in one, so that events have neighbours with other envelopes. */
function arbitraryBytes(signal: Signal): fc.Arbitrary<Uint8Array> {
  const one = arbitraryFutureRequest(signal).map((request) => independentEncode(signal, request));
  return fc.array(one, { minLength: 1, maxLength: 3 }).map((parts) => Buffer.concat(parts));
}

function expectSame(signal: Signal, bytes: Uint8Array): void {
  const alone = splitEvents(signal, bytes);
  const single = new SingleEvents(signal, bytes);
  expect(single.count).toBe(alone.length);
  for (const [event, request] of alone.entries()) {
    expect(single.json(event)).toBe(requestToJson(signal, request));
    expect(single.fields(event)).toEqual([...(eachEvent(signal, request) ?? [])][0]);
  }
}

describe.each(signals)('%s', (signal) => {
  it('look as if each had come alone', () => {
    fc.assert(
      fc.property(arbitraryBytes(signal), (bytes) => expectSame(signal, bytes)),
      { numRuns: 50 },
    );
  });

  it('look so where anything in them is damaged', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    let counted = 0;
    fc.assert(
      fc.property(arbitraryBytes(signal), damage, (whole, changes) => {
        const bytes = Uint8Array.from(whole);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        if (countEvents(signal, bytes) === undefined) {
          expect(() => new SingleEvents(signal, bytes)).toThrow('they are no OTLP');
          return;
        }
        counted += 1;
        expectSame(signal, bytes);
      }),
      { numRuns: 120 },
    );
    expect(counted).toBeGreaterThan(0);
  });

  it('look so in any order', () => {
    fc.assert(
      fc.property(arbitraryBytes(signal), fc.infiniteStream(fc.nat()), (bytes, random) => {
        const inOrder = new SingleEvents(signal, bytes);
        const texts = Array.from({ length: inOrder.count }, (_, event) => inOrder.json(event));
        const single = new SingleEvents(signal, bytes);
        for (let turn = 0; turn < texts.length; turn += 1) {
          const event = (random.next().value as number) % texts.length;
          expect(single.json(event)).toBe(texts[event]);
        }
      }),
      { numRuns: 50 },
    );
  });
});
