import { z } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import definition from './index.ts';

const url = 'nats://localhost';
const subject = 'telemetry.{signal}';
const parse = (given: Readonly<Record<string, unknown>>) => definition.schema.safeParse({ url, subject, ...given });

describe('options', () => {
  it('have their defaults', () => {
    expect(parse({}).data).toMatchObject({
      ...{ url, payload: 'json', deduplicate: 'stream', connection_name: 'spillway', inbox_prefix: '_INBOX' },
      ...{ connect_timeout_secs: 5_000, subject: { source: subject } },
    });
    expect(parse({ stream: 's', create_stream: {} }).data).toMatchObject({
      create_stream: { storage: 'file', replicas: 1, discard: 'old' },
    });
  });

  it.each([
    [{ url: 'nats://a:4222, tls://b' }],
    [{ url: 'nats://user:password@[::1]:4222' }],
    [{ subject: 'a.{resource.service.name}.{attribute.b c}' }],
    [{ stream: 'telemetry-{signal}' }],
    [{ auth: { strategy: 'token', token: { value: 't' } } }],
  ])('%j are taken', (given) => {
    expect(parse(given).success).toBe(true);
  });

  it.each([
    [{ url: 'http://a' }, /nats:\/\/host:port/],
    [{ url: 'nats://a,b' }, /nats:\/\/host:port/],
    [{ url: 'nats://' }, /nats:\/\/host:port/],
    [{ subject: 'a b' }, /expected a subject/],
    [{ subject: 'a..b' }, /expected a subject/],
    [{ subject: 'a.*' }, /expected a subject/],
    [{ subject: '$JS.x' }, /expected a subject/],
    [{ subject: 'a.{nothing}' }, /braces/],
    [{ stream: 'a.b' }, /name of a stream/],
    [{ stream: 'a-{severity}' }, /name of a stream/],
    [{ create_stream: {} }, /expected stream, too/],
    [{ stream: 'a', create_stream: {}, deduplicate: 'window' }, /deduplicate: stream/],
    [{ auth: { strategy: 'token' } }, /strategy names/],
    [{ auth: { strategy: 'nkey', nkey: { nkey: 'U' } } }, /./],
    [{ auth: { strategy: 'nkey', nkey: { seed: 'SUsecretsecret' } } }, /expected a seed/],
    [{ inbox_prefix: 'a.>' }, /without wildcards/],
    [{ domain: 'a.b' }, /domain/],
    [{ colour: 'red' }, /colour/],
  ])('%j are refused, and why is said', (given, why) => {
    const { error } = parse(given);
    expect(error?.issues.map(({ message }) => message).join()).toMatch(why);
  });

  it('can be described by a JSON Schema', () => {
    expect(z.toJSONSchema(definition.schema, { io: 'input' })).toMatchObject({ required: ['url', 'subject'] });
  });
});
