// Answers, in both encodings, against protobufjs and against what proxies send instead.
import { describe, expect, it } from 'vitest';
import { independentDecode, independentEncode } from '../../test/otlp/independent-proto.ts';
import {
  decodePartialSuccess,
  decodeStatusMessage,
  encodePartialSuccess,
  encodeStatus,
  type ResponseEncoding,
} from './response.ts';
import { signals } from './signal.ts';

const encodings: readonly ResponseEncoding[] = ['protobuf', 'json'];
const rejectedName = { logs: 'rejectedLogRecords', traces: 'rejectedSpans', metrics: 'rejectedDataPoints' } as const;
const page = new TextEncoder().encode('<html><body>Sign in</body></html>');

describe.each(signals)('%s', (signal) => {
  const partial = { rejected: 70_000, message: 'the buffer is full' };
  const plain = { partialSuccess: { [rejectedName[signal]]: '70000', errorMessage: 'the buffer is full' } };

  it.each(encodings)('%s: there and back', (encoding) => {
    expect(decodePartialSuccess(signal, encodePartialSuccess(signal, partial, encoding), encoding)).toEqual({
      ok: true,
      partial,
    });
    expect(decodePartialSuccess(signal, encodePartialSuccess(signal, undefined, encoding), encoding)).toEqual({
      ok: true,
      partial: undefined,
    });
    const warning = { rejected: 0, message: 'old endpoint' };
    expect(decodePartialSuccess(signal, encodePartialSuccess(signal, warning, encoding), encoding)).toEqual({
      ok: true,
      partial: warning,
    });
  });

  it('says what protobufjs and JSON say', () => {
    expect(independentDecode(`${signal} response`, encodePartialSuccess(signal, partial, 'protobuf'))).toEqual(plain);
    expect(JSON.parse(new TextDecoder().decode(encodePartialSuccess(signal, partial, 'json')))).toEqual(plain);
    const bytes = independentEncode(`${signal} response`, plain);
    expect(decodePartialSuccess(signal, bytes, 'protobuf')).toEqual({ ok: true, partial });
  });

  it('writes full success as nothing at all, and as an object', () => {
    expect(encodePartialSuccess(signal, undefined, 'protobuf')).toEqual(new Uint8Array(0));
    expect(new TextDecoder().decode(encodePartialSuccess(signal, undefined, 'json'))).toBe('{}');
  });

  it.each([
    [`{"partialSuccess":{"${rejectedName[signal]}":3}}`, { rejected: 3, message: '' }],
    [`{"partial_success":{"error_message":"x"}}`, { rejected: 0, message: 'x' }],
    [`{"partialSuccess":{"${rejectedName[signal]}":"0","errorMessage":""}}`, undefined],
    [`{"partialSuccess":null,"later":1}`, undefined],
    [`{"partialSuccess":{}}`, undefined],
  ])('reads %s', (json, expected) => {
    expect(decodePartialSuccess(signal, new TextEncoder().encode(json), 'json')).toEqual({
      ok: true,
      partial: expected,
    });
  });

  it('knows what is no response', () => {
    for (const encoding of encodings) expect(decodePartialSuccess(signal, page, encoding)).toEqual({ ok: false });
    for (const json of ['', 'null', '[]', '{"partialSuccess":7}', '{"partialSuccess":{"errorMessage":7}}']) {
      expect(decodePartialSuccess(signal, new TextEncoder().encode(json), 'json')).toEqual({ ok: false });
    }
    expect(decodePartialSuccess(signal, Uint8Array.of(0x0a, 0x05, 0x08), 'protobuf')).toEqual({ ok: false });
  });
});

describe('status', () => {
  it.each(encodings)('%s: there and back', (encoding) => {
    const bytes = encodeStatus({ code: 8, message: 'come again ü' }, encoding);
    expect(decodeStatusMessage(bytes, encoding)).toBe('come again ü');
    expect(decodeStatusMessage(encodeStatus({ code: 8, message: '' }, encoding), encoding)).toBeUndefined();
    expect(decodeStatusMessage(page, encoding)).toBeUndefined();
  });

  it('says what protobufjs says', () => {
    const status = { code: 3, message: 'bad' };
    expect(independentDecode('status', encodeStatus(status, 'protobuf'))).toEqual(status);
    expect(decodeStatusMessage(independentEncode('status', status), 'protobuf')).toBe('bad');
  });
});
