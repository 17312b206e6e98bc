// JSON -> protobuf -> JSON and back, for arbitrary requests.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { arbitraryRequest } from '../../test/otlp/arbitrary-request.ts';
import { checkRequest } from './check.ts';
import { encodeRequest } from './encode.ts';
import { jsonToRequest, requestToJson } from './json.ts';
import { signals } from './signal.ts';

it.each(signals)('%s: JSON comes back the same', (signal) => {
  fc.assert(
    fc.property(arbitraryRequest(signal), (request) => {
      const result = jsonToRequest(signal, JSON.stringify(request));
      const bytes = encodeRequest(signal, request);
      expect(result).toEqual({ ok: true, bytes, events: checkRequest(signal, bytes) });
      expect(JSON.parse(requestToJson(signal, bytes) ?? '')).toEqual(request);
    }),
    { numRuns: 150 },
  );
});

it.each(signals)('%s: any JSON is taken or refused, never thrown at', (signal) => {
  fc.assert(
    fc.property(arbitraryRequest(signal), fc.jsonValue(), fc.nat(), (request, value, random) => {
      // Some value of a sound request is replaced by any other.
      let places = 0;
      JSON.stringify(request, (_key, found: unknown) => {
        places += 1;
        return found;
      });
      let place = random % places;
      const text = JSON.stringify(request, (_key, found: unknown) => (place-- === 0 ? value : found));
      const result = jsonToRequest(signal, text);
      if (result.ok) expect(checkRequest(signal, result.bytes)).toBe(result.events);
      else expect(result.reason).toMatch(/^not taken: .*expected .*, found /);
    }),
    { numRuns: 300 },
  );
});
