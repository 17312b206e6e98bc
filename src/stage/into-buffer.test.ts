import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, textsOf } from '../../test/buffer-rig.ts';
import { type Acceptance, intoBuffer, type StageItem } from './index.ts';

const record = (text: string): StageItem => ({ payload: bytesOf(text) });

/** A generator that remembers how it was treated. */
class Source {
  yielded = 0;
  isClosed = false;
  readonly #count: number;
  readonly #failure: Error | undefined;

  constructor(count: number, failure?: Error) {
    this.#count = count;
    this.#failure = failure;
  }

  async *items(): AsyncGenerator<StageItem> {
    try {
      while (this.yielded < this.#count) yield record(`item ${++this.yielded}`);
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.isClosed = true;
    }
  }
}

/** Far more than the smallest buffer holds. */
const large = (): StageItem => ({ payload: new Uint8Array(50_000) });

async function* endless(count: { yielded: number; isClosed: boolean }): AsyncGenerator<StageItem> {
  try {
    for (;;) {
      count.yielded += 1;
      yield large();
    }
  } finally {
    count.isClosed = true;
  }
}

describe('intoBuffer', () => {
  it('takes records, arrays and batches, and counts what became of them', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const answers: Acceptance[] = [];
    const items: StageItem[] = [
      { payload: bytesOf('a'), events: 3, metadata: 7 },
      [{ payload: bytesOf('b') }, { payload: bytesOf('c'), events: 2 }],
      { records: [{ payload: bytesOf('dd') }], accepted: (result) => answers.push(result) },
    ];
    const totals = await rig.run(intoBuffer(items, buffer));
    const nothing = { items: 0, records: 0, events: 0, bytes: 0 };
    expect(totals).toEqual({
      accepted: { items: 3, records: 4, events: 7, bytes: 5 },
      dropped: { buffer_full: nothing, disk_full: nothing, pressure: nothing },
    });
    expect(answers).toEqual([{ status: 'stored', recordId: 7 }]);
    const { records } = await rig.read(buffer.cursor('default'));
    expect(records.map(({ id, metadata }) => [id, metadata])).toEqual([
      [1, 7],
      [4, 0],
      [5, 0],
      [7, 0],
    ]);
  });

  it('answers a batch when it is durable, and asks for the next one after that', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const steps: string[] = [];
    async function* batches(): AsyncGenerator<StageItem> {
      for (const name of ['one', 'two']) {
        steps.push(`asked for ${name}`);
        yield {
          records: [{ payload: bytesOf(name) }],
          accepted: () => {
            const { frontiers } = buffer.stats();
            steps.push(`${name} is accepted, durable below ${frontiers.durable}`);
          },
        };
      }
    }
    await rig.run(intoBuffer(batches(), buffer));
    expect(steps).toEqual([
      'asked for one',
      'one is accepted, durable below 2',
      'asked for two',
      'two is accepted, durable below 3',
    ]);
  });

  it('counts what the policy drops by its reason, and answers with it', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_newest' });
    const answers = new Map<string, number>();
    const accepted = (result: Acceptance): void => {
      const what = result.status === 'dropped' ? result.reason : result.status;
      answers.set(what, (answers.get(what) ?? 0) + 1);
    };
    const batches = Array.from({ length: 40 }, () => ({ records: [{ payload: new Uint8Array(50_000) }], accepted }));
    const totals = await rig.run(intoBuffer(batches, buffer));
    expect(totals.dropped.buffer_full.items).toBeGreaterThan(10);
    expect(totals.accepted.items + totals.dropped.buffer_full.items).toBe(40);
    expect(Object.fromEntries(answers)).toEqual({
      stored: totals.accepted.items,
      buffer_full: totals.dropped.buffer_full.items,
    });
    expect(totals.dropped.buffer_full.bytes).toBe(totals.dropped.buffer_full.items * 50_000);
  });

  it('passes on the error of its input, with everything accepted before it', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const source = new Source(3, new Error('no more'));
    await expect(rig.run(intoBuffer(source.items(), buffer))).rejects.toThrow('no more');
    expect(textsOf(await rig.read(buffer.cursor('default')))).toEqual(['item 1', 'item 2', 'item 3']);
  });

  it('passes on what the answer of a batch throws as an error of the input', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const accepted = (): never => {
      throw new Error('no credit');
    };
    await expect(rig.run(intoBuffer([{ records: [{ payload: bytesOf('a') }], accepted }], buffer))).rejects.toThrow(
      'no credit',
    );
    expect(textsOf(await rig.read(buffer.cursor('default')))).toEqual(['a']); // It was stored all the same.
  });

  it.each([
    ['reject', 'SPILLWAY_STORAGE_FULL'],
    ['block', 'SPILLWAY_USAGE_CLOSED'],
  ] as const)(
    'passes on the error of a buffer that is full and may %s, and closes its input',
    async (whenFull, code) => {
      const rig = new BufferRig();
      const buffer = await rig.open({ whenFull });
      const source = { yielded: 0, isClosed: false };
      const running = intoBuffer(endless(source), buffer);
      expect(await rig.within(500, running)).toBe(whenFull === 'reject' ? 'rejected' : 'pending');
      await rig.close(buffer);
      await expect(rig.run(running)).rejects.toMatchObject({ code });
      expect(source.isClosed).toBe(true);
      expect(source.yielded).toBe(buffer.stats().totals.appended.events + 1);
    },
  );

  it('ends with the reason of its signal while the buffer is full, and closes its input', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const source = { yielded: 0, isClosed: false };
    const stop = new AbortController();
    const running = intoBuffer(endless(source), buffer, { signal: stop.signal });
    expect(await rig.within(500, running)).toBe('pending');
    stop.abort(new Error('enough'));
    await expect(rig.run(running)).rejects.toThrow('enough');
    expect(source.isClosed).toBe(true);
    expect(buffer.stats().waitingAppends).toBe(0);
  });

  it('ends with the reason of its signal while its input has nothing', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const stop = new AbortController();
    let returned = 0;
    let isAsked = false;
    const silent: AsyncIterable<StageItem> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          isAsked = true;
          return new Promise<never>(() => undefined);
        },
        return: () => {
          returned += 1;
          // As a generator does: while it is asked for something it answers that first.
          return isAsked ? new Promise<never>(() => undefined) : Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    const running = intoBuffer(silent, buffer, { signal: stop.signal });
    expect(await rig.within(10, running)).toBe('pending');
    stop.abort(new Error('enough'));
    await expect(rig.run(running)).rejects.toThrow('enough');
    expect(returned).toBe(1);
    isAsked = false;
    await expect(rig.run(intoBuffer(silent, buffer, { signal: stop.signal }))).rejects.toThrow('enough');
    expect(returned).toBe(2); // Also if it was too late from the start.
  });

  it.each([
    ['a string', 'line'],
    ['bytes', new Uint8Array(3)],
    ['null', null],
    ['an empty object', {}],
    ['an array of strings', ['line']],
    ['a batch without records', { records: undefined }],
    ['a record without bytes', { payload: 'line' }],
    ['an empty batch', []],
    ['a record of no events', { payload: new Uint8Array(1), events: 0 }],
  ])('refuses %s', async (_what, item) => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const running = rig.run(intoBuffer([record('before'), item as never, record('after')], buffer));
    await expect(running).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_RECORD' });
    expect(textsOf(await rig.read(buffer.cursor('default')))).toEqual(['before']);
  });

  it('passes on what its input throws when it is asked to begin', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const locked: Iterable<StageItem> = {
      [Symbol.iterator]: () => {
        throw new Error('in use');
      },
    };
    await expect(rig.run(intoBuffer(locked, buffer))).rejects.toThrow('in use');
  });

  it('waits until its input has put itself away, and does not ask one to that has failed by itself', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    let isPutAway = false;
    async function* careful(): AsyncGenerator<StageItem> {
      try {
        for (;;) yield [];
      } finally {
        await new Promise<void>((resolve) => void rig.process.clock.setTimer(100, resolve));
        isPutAway = true;
      }
    }
    await expect(rig.run(intoBuffer(careful(), buffer))).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_RECORD' });
    expect(isPutAway).toBe(true);
    let returned = 0;
    const failing: AsyncIterable<StageItem> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(new Error('failed')),
        return: () => {
          returned += 1;
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    await expect(rig.run(intoBuffer(failing, buffer))).rejects.toThrow('failed');
    expect(returned).toBe(0);
  });

  it('ends with the reason of its signal although its input fails because of it', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const stop = new AbortController();
    const input: AsyncIterable<StageItem> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          stop.abort(new Error('enough'));
          await rig.world.settle();
          throw new Error('interrupted'); // If nobody took this one, the whole run would end with it.
        },
      }),
    };
    await expect(rig.run(intoBuffer(input, buffer, { signal: stop.signal }))).rejects.toThrow('enough');
    await rig.world.settle();
    await rig.world.settle();
  });

  it('hides nothing behind an input that cannot be closed', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const stubborn: Iterable<StageItem> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: [] }),
        return: () => {
          throw new Error('never');
        },
      }),
    };
    await expect(rig.run(intoBuffer(stubborn, buffer))).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_RECORD' });
  });
});

describe('intoBuffer with a Readable', () => {
  it('reads it to its end', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const texts = Array.from({ length: 100 }, (_, index) => `line ${index}`);
    const totals = await rig.run(intoBuffer(Readable.from(texts.map(record)), buffer));
    expect(totals.accepted.items).toBe(100);
    expect(textsOf(await rig.read(buffer.cursor('default')))).toEqual(texts);
  });

  it('reads ahead no further than the stream does by itself', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const source = { yielded: 0, isClosed: false };
    const stream = Readable.from(endless(source), { highWaterMark: 4 });
    const running = intoBuffer(stream, buffer);
    expect(await rig.within(500, running)).toBe('pending');
    expect(source.yielded - buffer.stats().totals.appended.events).toBeLessThanOrEqual(1 + 4 + 1);
    await rig.close(buffer);
    await expect(rig.run(running)).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_CLOSED' });
    expect(stream.destroyed).toBe(true);
  });

  it('destroys one that is aborted while it has nothing, or before it was ever read', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    for (const abortedBefore of [false, true]) {
      const stop = new AbortController();
      if (abortedBefore) stop.abort(new Error('enough'));
      const stream = new Readable({ objectMode: true, read: () => undefined });
      const running = intoBuffer(stream, buffer, { signal: stop.signal });
      if (!abortedBefore) expect(await rig.within(10, running)).toBe('pending');
      stop.abort(new Error('enough'));
      await expect(rig.run(running)).rejects.toThrow('enough');
      expect(stream.destroyed).toBe(true);
    }
  });

  it('passes on its error', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const stream = new Readable({ objectMode: true, read: () => undefined });
    stream.push(record('before'));
    const running = intoBuffer(stream, buffer);
    expect(await rig.within(50, running)).toBe('pending');
    stream.destroy(new Error('reset by peer'));
    await expect(rig.run(running)).rejects.toThrow('reset by peer');
    expect(textsOf(await rig.read(buffer.cursor('default')))).toEqual(['before']);
  });
});
