import { describe, expect, it } from 'vitest';
import type { TelemetryEvent } from '../../otlp/decode.ts';
import { type Template, template } from './template.ts';

function parsed(source: string): Template {
  return template().parse(source);
}

const event: TelemetryEvent = {
  resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop.api' } }] },
  scope: {},
  event: {
    severityNumber: 17,
    attributes: [
      { key: 'tenant', value: { intValue: '7' } },
      { key: 'a b', value: { boolValue: false } },
      { key: 'list', value: { arrayValue: { values: [] } } },
      { key: 'empty', value: { stringValue: '' } },
    ],
  },
};

describe('a template', () => {
  it('without braces is the text itself, and asks for no field', () => {
    const plain = parsed('telemetry/all');
    expect(plain.needsFields).toBe(false);
    expect(plain.render({ signal: 'logs' })).toBe('telemetry/all');
  });

  it('with the signal alone does not need the event decoded', () => {
    const bySignal = parsed('t.{signal}.{signal}');
    expect(bySignal.needsFields).toBe(false);
    expect(bySignal.render({ signal: 'traces' })).toBe('t.traces.traces');
  });

  it.each([
    ['{resource.service.name}', 'shop.api'],
    ['a/{attribute.tenant}/b', 'a/7/b'],
    ['{attribute.a b}', 'false'],
    ['{severity}', 'error'],
    ['{attribute.missing}-{resource.missing}', 'unknown-unknown'],
    ['{attribute.list}{attribute.empty}', 'unknownunknown'],
  ])('%s becomes %s', (source, expected) => {
    expect(parsed(source).needsFields).toBe(true);
    expect(parsed(source).render({ signal: 'logs', event })).toBe(expected);
  });

  it('takes the severity text before the name of the number, and neither from an event without', () => {
    const of = (log: object): string =>
      parsed('{severity}').render({ signal: 'logs', event: { ...event, event: log } });
    expect(of({ severityText: 'Loud', severityNumber: 1 })).toBe('Loud');
    expect([1, 4, 5, 9, 13, 21, 24].map((severityNumber) => of({ severityNumber }))).toEqual([
      'trace',
      'trace',
      'debug',
      'info',
      'warn',
      'fatal',
      'fatal',
    ]);
    expect([0, 25, -3, undefined].map((severityNumber) => of({ severityNumber }))).toEqual(Array(4).fill('unknown'));
  });

  it('cleans values, and leaves the text around them alone', () => {
    const cleaned = parsed('x.{resource.service.name}').render({ signal: 'logs', event }, (value) =>
      value.replaceAll('.', '_'),
    );
    expect(cleaned).toBe('x.shop_api');
  });

  it.each(['', '{', '}', 'a{signal', 'a}b', '{}', '{resource}', '{resource.}', '{other}', '{{signal}}', '{attribute.'])(
    'is not "%s"',
    (source) => {
      expect(template().safeParse(source).success).toBe(false);
    },
  );
});
