// Our bytes read by protobufjs, and its bytes read by us: the table of messages is right, and so is the wire format.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { arbitraryRequest } from '../../test/otlp/arbitrary-request.ts';
import { independentDecode, independentEncode } from '../../test/otlp/independent-proto.ts';
import { checkRequest } from './check.ts';
import { countEvents } from './count.ts';
import { decodeRequest } from './decode.ts';
import { encodeRequest } from './encode.ts';
import { signals } from './signal.ts';

it.each(signals)('%s: what we encode, protobufjs decodes', (signal) => {
  fc.assert(
    fc.property(arbitraryRequest(signal), (request) => {
      const bytes = encodeRequest(signal, request);
      expect(independentDecode(signal, bytes)).toEqual(request);
      expect(decodeRequest(signal, bytes)).toEqual(request);
    }),
    { numRuns: 150 },
  );
});

it.each(signals)('%s: what protobufjs encodes, we decode, count and find sound', (signal) => {
  fc.assert(
    fc.property(arbitraryRequest(signal), (request) => {
      const bytes = independentEncode(signal, request);
      expect(decodeRequest(signal, bytes)).toEqual(request);
      expect(checkRequest(signal, bytes)).toBe(countEvents(signal, bytes));
      expect(checkRequest(signal, bytes)).toBeTypeOf('number');
    }),
    { numRuns: 150 },
  );
});
