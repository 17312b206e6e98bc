import { z } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { accountOf, checkMqttOptions, type MqttOptions, schema } from './options.ts';

const parse = (given: object): MqttOptions => schema.parse({ topic: 'events', ...given });

function problems(given: object): string {
  const { error } = schema.safeParse({ topic: 'events', ...given });
  return error === undefined ? '' : z.prettifyError(error);
}

describe('defaults', () => {
  it('are safe', () => {
    const { topic, ...rest } = parse({ host: 'h' });
    expect(topic.source).toBe('events');
    expect(rest).toEqual({
      host: 'h',
      protocol_version: '5',
      keep_alive: 60,
      clean_session: true,
      session_expiry_secs: 3_600_000,
      quality_of_service: 'atleastonce',
      retain: false,
      payload: 'json',
      require_subscribers: false,
      max_in_flight: 256,
      connect_timeout_secs: 5_000,
    });
  });
});

describe('where to go', () => {
  const trusting = { verify_certificate: true, verify_hostname: true };

  it.each([
    [{ host: 'h' }, { host: 'h', port: 1883, tls: undefined }],
    [
      { host: '::1', port: 9 },
      { host: '::1', port: 9, tls: undefined },
    ],
    [
      { host: 'h', tls: {} },
      { host: 'h', port: 8883, tls: trusting },
    ],
    [
      { host: 'h', user: 'a', password: 'b' },
      { user: 'a', password: 'b' },
    ],
    [{ url: 'mqtt://h' }, { host: 'h', port: 1883, tls: undefined, user: undefined, password: undefined }],
    [{ url: 'mqtt://[::1]:9/' }, { host: '::1', port: 9 }],
    [{ url: 'mqtts://h' }, { host: 'h', port: 8883, tls: trusting }],
    [
      { url: 'mqtts://h:1', tls: { ca_file: '/ca' } },
      { port: 1, tls: { ...trusting, ca_file: '/ca' } },
    ],
    [{ url: 'mqtt://a%40b:c%2Fd@h' }, { user: 'a@b', password: 'c/d' }],
    [
      { url: 'mqtt://a@h', password: 'b' },
      { user: 'a', password: 'b' },
    ],
  ])('%o', (given, expected) => {
    expect(accountOf(parse(given))).toMatchObject(expected);
  });
});

describe('what is refused, with what was expected', () => {
  it.each([
    [{}, 'expected exactly one of url and host'],
    [{ url: 'mqtt://h', host: 'h' }, 'expected exactly one of url and host'],
    [{ url: 'mqtt://h', port: 1 }, 'expected the port in the url'],
    [{ url: 'mqtt://h', tls: {} }, 'expected mqtts:// in the url if tls is enabled'],
    [{ url: 'mqtts://h', tls: { enabled: false } }, 'expected mqtts:// in the url if tls is enabled'],
    [{ host: 'h', tls: { verify: true } }, 'Unrecognized key'],
    [{ url: 'h:1883' }, 'expected mqtt://host:port'],
    [{ url: 'http://h' }, 'expected mqtt://host:port'],
    [{ url: 'mqtt://h/topic' }, 'expected mqtt://host:port'],
    [{ url: 'mqtt://a%zz@h' }, 'expected mqtt://host:port'],
    [{ host: 'mqtt://u:p@h' }, 'expected the name or address alone'],
    [{ host: 'u:p@h' }, 'expected the name or address alone'],
    [{ host: 'h:1883' }, 'expected the name or address alone'],
    [{ host: 'h/ws' }, 'expected the name or address alone'],
    [{ url: 'mqtt://a%00b@h' }, 'expected mqtt://host:port'],
    [{ url: `mqtt://u:${'p'.repeat(65_536)}@h` }, 'expected mqtt://host:port'],
    [{ url: 'mqtt://:p@h', protocol_version: '3.1.1' }, 'expected a user beside the password'],
    [{ host: 'h', topic: 'a/#' }, 'expected a topic without +, # and U+0000'],
    [{ host: 'h', topic: '+/{signal}' }, 'expected a topic without +, # and U+0000'],
    [{ host: 'h', topic: 'a\0b' }, 'expected a topic without +, # and U+0000'],
    [{ host: 'h', topic: '{nothing}' }, 'braces'],
    [{ host: 'h', quality_of_service: 'atmostonce' }, 'expected atleastonce'],
    [{ host: 'h', quality_of_service: 'exactlyonce' }, 'expected atleastonce'],
    [{ host: 'h', protocol_version: 3 }, 'expected 5 or 3.1.1'],
    [{ host: 'h', protocol_version: '3.1.1', content_type: 'a' }, 'expected 5'],
    [{ host: 'h', protocol_version: '3.1.1', message_expiry_secs: 1 }, 'expected 5'],
    [{ host: 'h', protocol_version: '3.1.1', require_subscribers: true }, 'expected 5'],
    [{ host: 'h', protocol_version: '3.1.1', password: 'p' }, 'expected a user beside the password'],
    [{ host: 'h', client_id: 'x'.repeat(65_536) }, 'expected at most 65535 bytes'],
    [{ host: 'h', user: 'a\0' }, 'without U+0000'],
    [{ host: 'h', session_expiry_secs: 5e9 }, 'Too big'],
    [{ host: 'h', max_in_flight: 65_536 }, 'Too big'],
    [{ host: 'h', mode: 1 }, 'Unrecognized key'],
  ])('%o', (given, expected) => {
    expect(problems(given)).toContain(expected);
  });

  it.each([
    [{ host: 'h', topic: '{attribute.a+b}' }],
    [{ host: '::1' }],
    [{ host: 'fe80::1%eth0' }],
    [{ host: 'my_server.example.' }],
    [{ host: 'h', protocol_version: '3.1.1', user: 'u', password: 'p' }],
    [{ url: 'mqtt://u@h', protocol_version: '3.1.1', password: 'p' }],
    [{ host: 'h', password: 'p' }],
  ])('is not %o', (given) => {
    expect(problems(given)).toBe('');
  });
});

it('has a description for every key', () => {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input' });
  const without = Object.entries(properties).filter(([, value]) => typeof value === 'object' && !value.description);
  expect(without.map(([key]) => key)).toEqual([]);
});

describe('a client_id', () => {
  const signals = ['logs'] as const;
  const buffer = { id: 'one', isDurable: true };
  const problems = (given: object, other: object) =>
    checkMqttOptions(parse(given), {
      buffer,
      signals,
      earlier: [{ id: 'first', options: parse(other), signals, buffer }],
    });

  it('is for one sink of a server', () => {
    const mine = { host: 'h', client_id: 'c' };
    expect(problems(mine, { url: 'mqtt://h', client_id: 'c' })).toMatchObject([{ path: ['client_id'] }]);
    expect(problems(mine, { host: 'h', client_id: 'd' })).toEqual([]);
    expect(problems(mine, { host: 'h', port: 1884, client_id: 'c' })).toEqual([]);
    expect(problems({ host: 'h' }, { host: 'h' })).toEqual([]);
  });
});
