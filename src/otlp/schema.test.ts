// The two descriptions of a request that this folder has, the layers and the table, describe the same thing.
import { expect, it } from 'vitest';
import { holds, layersOf } from './layers.ts';
import { type Message, messageOf, requestOf } from './schema.ts';
import { signals } from './signal.ts';
import { wireLength } from './wire.ts';

const eventNames = ['LogRecord', 'Span'];

function numbers(message: Message, wanted: (field: Message['fields'][number]) => boolean): number[] {
  return message.fields.filter(wanted).map(({ number }) => number);
}

function inMask(mask: number): number[] {
  return Array.from({ length: 32 }, (_, number) => number).filter((number) => holds(mask, number));
}

it.each(signals)('%s: the layers are those of the table', (signal) => {
  let messages: Message[] = [requestOf[signal]];
  for (const layer of layersOf[signal]) {
    const below: Message[] = [];
    for (const message of messages) {
      const isInner = ({ choice, repeated, message: inner }: Message['fields'][number]): boolean => {
        const isNext = layer.choice ? choice : repeated && !['KeyValue', 'EntityRef'].includes(inner?.name ?? '');
        return inner !== undefined && isNext;
      };
      expect(inMask(layer.inner), message.name).toEqual(numbers(message, isInner).sort((a, b) => a - b));
      const delimited = numbers(message, ({ tag }) => (tag & 7) === wireLength).sort((a, b) => a - b);
      expect(inMask(layer.delimited), message.name).toEqual(delimited);
      for (const field of message.fields) if (isInner(field) && field.message !== undefined) below.push(field.message);
    }
    messages = below;
  }
  const events = messages.map(({ name }) => name);
  expect(events.every((name) => eventNames.includes(name) || name.endsWith('DataPoint'))).toBe(true);
});

it('knows both spellings of a field and no name that objects have by themselves', () => {
  const { byName } = messageOf('LogRecord');
  expect(byName.get('observed_time_unix_nano')).toBe(byName.get('observedTimeUnixNano'));
  expect(byName.get('observedTimeUnixNano')?.number).toBe(11);
  for (const name of ['__proto__', 'constructor', 'toString']) expect(byName.get(name)).toBeUndefined();
});

it('gives no field number twice', () => {
  const seen = new Set<Message>();
  const visit = (message: Message): void => {
    if (seen.has(message)) return;
    seen.add(message);
    expect(new Set(message.fields.map(({ number }) => number)).size, message.name).toBe(message.fields.length);
    for (const { message: inner } of message.fields) if (inner !== undefined) visit(inner);
  };
  for (const signal of signals) visit(requestOf[signal]);
  expect(seen.size).toBeGreaterThan(30);
});
