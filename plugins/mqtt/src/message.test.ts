import fc from 'fast-check';
import { template } from 'spillway/plugin';
import { sampleBatch, sampleOriginUuid } from 'spillway/testing';
import { describe, expect, it } from 'vitest';
import { cleanLevel, type MessageOptions, messagesOf } from './message.ts';
import { fieldBytesMax } from './packet.ts';

const options: MessageOptions = {
  version: '5',
  topic: template().parse('events/{signal}'),
  payload: 'json',
  contentType: undefined,
  expirySecs: undefined,
  hasKeys: true,
};
const skipNothing = { record: () => false, event: () => false };

describe('a value in a topic', () => {
  it.each([
    ['checkout', 'checkout'],
    ['team/a+b#c', 'team_a_b_c'],
    ['$SYS', '_SYS'],
    ['a$b', 'a$b'],
    ['a\u0000b\u001fc\u007fd\u0085e', 'a_b_c_d_e'],
    ['lone \ud800 and \udc00', 'lone _ and _'],
    ['none \ufdd0\uffff\u{1ffff}', 'none ___'],
    ['Größe 漢字 🜁', 'Größe 漢字 🜁'],
  ])('%j is %j', (value, cleaned) => {
    expect(cleanLevel(value)).toBe(cleaned);
  });

  it('is one level, whatever it says', () => {
    // Halves of characters among them, and more of those that mean something.
    const units = fc.oneof(fc.integer({ max: 0xffff, min: 0 }), fc.integer({ max: 0x7f, min: 0 }));
    const texts = fc.array(units).map((all) => String.fromCharCode(...all));
    fc.assert(
      fc.property(texts, (value) => {
        const cleaned = cleanLevel(value);
        expect(cleaned).not.toMatch(/[+#/]|^\$|\p{Cc}|\p{Cs}/u);
        expect(Buffer.from(cleaned).toString()).toBe(cleaned);
      }),
    );
  });
});

it('leaves out what is to be skipped, in whole and in part, with the other topics where they belong', () => {
  const batch = sampleBatch('logs', 1, [2, 3]);
  const skip = {
    record: ({ id }: { readonly id: number }) => id === 1,
    event: ({ id }: { readonly id: number }) => id === 4,
  };
  const topic = template().parse('{resource.service.name}/{severity}');
  const found = [...messagesOf(batch, { ...options, topic }, skip)];
  expect(found.map(({ event }) => event)).toEqual([3, 5].map((id) => ({ origin: `${sampleOriginUuid}/1`, id })));
  expect(found.map((one) => one.kind === 'message' && one.message.topic.toString())).toEqual(
    Array(2).fill('sample/info'),
  );
});

it('rejects an event whose topic would be too long', () => {
  const topic = template().parse(`${'x'.repeat(fieldBytesMax - 3)}{signal}`);
  const [found] = messagesOf(sampleBatch('logs', 1, [1]), { ...options, topic }, skipNothing);
  expect(found).toMatchObject({ kind: 'rejected', reason: 'its topic would have 65536 bytes, at most 65535 fit' });
});
