import { expect, it } from 'vitest';
import { ownerOf } from './key-owner.ts';

it('is a cursor of a buffer', () => {
  const origin = { buffer: 'disk', cursor: 'archive', uuid: 'one' };
  expect(ownerOf({ id: 'archive', origin }, 'needed')).toEqual({ buffer: 'one', cursor: 'archive' });
});

it('is nobody where keys do not outlive the process', () => {
  const origin = { buffer: 'memory', cursor: 'archive', uuid: undefined };
  expect(() => ownerOf({ id: 'archive', origin }, 'give it a disk')).toThrow(
    expect.objectContaining({
      code: 'SPILLWAY_CONFIG_INVALID',
      message: 'Making sink archive on buffer memory failed, and nothing was sent: give it a disk',
    }),
  );
});
