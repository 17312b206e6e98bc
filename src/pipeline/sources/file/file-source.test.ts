import { describe, expect, it } from 'vitest';
import { logs, stateDirectory, TailRig } from '../../../../test/tail-rig.ts';

async function started(options: object = {}): Promise<TailRig> {
  const rig = new TailRig(options);
  await rig.start();
  return rig;
}

describe('a tailed file', () => {
  it('gives each line with its path, fingerprint and offset', async () => {
    const rig = await started();
    rig.append('first\nsecond\r\n\nö\n');
    await rig.advance(2_000);
    rig.append('fifth\n');
    await rig.advance(200);
    expect(rig.taken.map(({ text, offset }) => [text, offset])).toEqual([
      ['first', 0],
      ['second', 6],
      ['', 14],
      ['ö', 15],
      ['fifth', 18],
    ]);
    const [first] = rig.taken;
    expect(first?.attributes).toEqual({
      'log.file.path': `${logs}/app.log`,
      'log.file.name': 'app.log',
      'spillway.file.fingerprint': expect.stringMatching(/^[0-9a-f]{16}$/),
      'spillway.file.offset': expect.anything(),
    });
    expect(new Set(rig.taken.map(({ fingerprint }) => fingerprint)).size).toBe(1);
    await rig.stop();
    expect(rig.files.openCount).toBe(0);
  });

  it('goes on after a restart where it was', async () => {
    const rig = await started();
    rig.append('one\ntwo\npart');
    await rig.advance(2_000);
    await rig.stop();
    rig.append('ial\nfour\n');
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['one', 'two', 'partial', 'four']);
    expect(rig.taken[2]?.offset).toBe(8);
  });

  it('repeats after a kill what was not recorded, and nothing else', async () => {
    const rig = await started();
    rig.append('one\n');
    await rig.advance(5_000);
    rig.append('two\n');
    await rig.advance(300); // Recorded: the last time was long ago.
    rig.append('three\n');
    await rig.advance(300);
    rig.kill();
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['one', 'two', 'three', 'three']);
    expect(rig.unique().map(({ text }) => text)).toEqual(['one', 'two', 'three']);
  });

  it('waits for the end of a line, and for the first line before it reads at all', async () => {
    const rig = await started();
    rig.append('a long');
    await rig.advance(10_000);
    expect(rig.texts).toEqual([]);
    rig.append(' line\nnext');
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['a long line']);
    rig.append(' one\n');
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['a long line', 'next one']);
  });

  it('begins at the end of files that were there before it, and at the beginning of later ones', async () => {
    const rig = new TailRig({ read_from: 'end' });
    rig.append('old\nhalf a');
    await rig.start();
    await rig.advance(2_000);
    rig.append(' line\n');
    rig.append('from its beginning\n', 'app.log.2');
    await rig.advance(2_000);
    expect(rig.texts.sort()).toEqual(['from its beginning', 'half a line']);
    await rig.stop();
    rig.append('while away\n', 'app.log.3');
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toContain('while away');
  });

  it('takes files for later ones that appear after a run which found none', async () => {
    const rig = new TailRig({ read_from: 'end' });
    await rig.start();
    await rig.advance(2_000);
    await rig.stop();
    rig.append('while away\n');
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['while away']);
  });

  it('skips what is in files that are too old, not what is added to them', async () => {
    const rig = new TailRig({ ignore_older_secs: 60 });
    rig.append('old\n');
    await rig.advance(61_000);
    await rig.start();
    await rig.advance(2_000);
    rig.append('new\n');
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['new']);
  });

  it('cuts a line that is too long, and says so', async () => {
    const rig = await started({ max_line_bytes: 16 });
    rig.append(`first\n${'x'.repeat(100)}`);
    await rig.advance(2_000);
    rig.append(`${'y'.repeat(500)}\nlast\n`);
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['first', 'x'.repeat(16), 'last']);
    expect(rig.taken.map(({ attributes }) => attributes['spillway.line.truncated'])).toEqual([
      undefined,
      true,
      undefined,
    ]);
    expect(rig.taken[2]?.offset).toBe(607);
    await rig.stop();
    const skipped = rig.log.lines.filter(({ message }) => message.startsWith('Cut lines'));
    expect(skipped).toHaveLength(2);
    expect(skipped.at(-1)?.fields).toMatchObject({ skippedBytesInAll: 584 });
  });

  it('keeps skipping the rest of a long line after a restart', async () => {
    const rig = await started({ max_line_bytes: 16 });
    rig.append(`first\n${'x'.repeat(100)}`);
    await rig.advance(3_000);
    await rig.stop();
    rig.append('the rest of it\nlast\n');
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['first', 'x'.repeat(16), 'last']);
  });

  it('gives bytes that are no UTF-8 as bytes, and leaves a byte order mark away', async () => {
    const rig = await started();
    rig.host.append(`${logs}/app.log`, Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0x0a, 0xff, 0x00, 0x62, 0x0a));
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['a', 'bytes ff0062']);
  });

  it('joins lines, and waits no longer than told for the next one', async () => {
    const multiline = { start_pattern: '^\\S', mode: 'continue_through', condition_pattern: '^\\s', timeout_ms: 3_000 };
    const rig = await started({ multiline });
    rig.append('error\n  at a\n  at b\nfine\nerror 2\n  at');
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['error\n  at a\n  at b', 'fine']);
    rig.append(' c\n');
    await rig.advance(2_900);
    expect(rig.taken).toHaveLength(2);
    await rig.advance(300);
    expect(rig.taken[2]).toMatchObject({ text: 'error 2\n  at c', offset: 25 });
  });
});

describe('what the pipeline answers', () => {
  it('makes it wait and offer the same again', async () => {
    const rig = new TailRig();
    rig.append('one\ntwo\n');
    let offers = 0;
    rig.answer = () => (++offers < 4 ? { kind: 'full', retryAfterMs: 1_000 } : { kind: 'accepted' });
    await rig.start();
    await rig.advance(2_500);
    expect(rig.texts).toEqual([]);
    expect(rig.host.text(`${stateDirectory}/checkpoints.json`)).not.toContain('"accepted":[8');
    await rig.advance(2_000);
    expect([rig.texts, offers]).toEqual([['one', 'two'], 4]);
  });

  it('never lets it remember what was not taken', async () => {
    const rig = new TailRig();
    rig.append('one\ntwo\n');
    rig.answer = () => ({ kind: 'unavailable', reason: 'stalled', retryAfterMs: 100 });
    await rig.start();
    await rig.advance(5_000);
    await rig.stop();
    rig.answer = () => ({ kind: 'accepted' });
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['one', 'two']);
  });

  it('is final when it drops', async () => {
    const rig = new TailRig();
    rig.append('one\ntwo\n');
    rig.answer = () => ({ kind: 'dropped', reason: 'buffer_full', events: 2 });
    await rig.start();
    await rig.advance(2_000);
    await rig.stop();
    rig.answer = () => ({ kind: 'accepted' });
    rig.append('three\n');
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['three']);
  });

  it('makes it offer less at once, and leave out a line that fits nowhere', async () => {
    const rig = new TailRig();
    rig.append(`one\ntwo\n${'x'.repeat(2_000)}\nfour\n`);
    rig.answer = ({ bytes }) =>
      bytes.length > 1_500 ? { kind: 'too_large', limitBytes: 1_500 } : { kind: 'accepted' };
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['one', 'two', 'four']);
    const left = rig.log.lines.find(({ message }) => message.startsWith('Left out'));
    expect(left).toMatchObject({ level: 'error', fields: { bytes: 2_000, limitBytes: 1_500, leftOut: 1 } });
    await rig.stop();
    await rig.start();
    await rig.advance(2_000);
    expect(rig.texts).toHaveLength(3);
  });

  it('does not keep it from noticing what is rotated meanwhile', async () => {
    const rig = await started({ include: [`${logs}/app.log`], glob_minimum_cooldown_ms: 1_000 });
    let isOpen = false;
    rig.answer = () => (isOpen ? { kind: 'accepted' } : { kind: 'full', retryAfterMs: 1_000 });
    rig.append('one\n');
    await rig.advance(2_000);
    for (let round = 2; round < 6; round++) {
      rig.rename('app.log', `old.${round}`);
      rig.append(`before ${round}\n`, `old.${round}`);
      rig.append(`after ${round}\n`);
      await rig.advance(2_000);
    }
    isOpen = true;
    await rig.advance(5_000);
    expect([...rig.texts].sort()).toEqual(
      ['one', ...[2, 3, 4, 5].flatMap((round) => [`before ${round}`, `after ${round}`])].sort(),
    );
  });
});

it('reads files that grow all the time, and the others as well', async () => {
  const rig = new TailRig({ max_read_bytes: 524_288, fingerprint: { strategy: 'device_and_inode' } });
  const grow = (lines: number): void => {
    for (const name of ['app.log.0', 'app.log.1']) rig.append(`${'x'.repeat(999)}\n`.repeat(lines), name);
  };
  grow(1_100);
  rig.append('the only line\n', 'app.log.z');
  let batches = 0;
  rig.answer = () => {
    batches += 1;
    grow(550);
    return { kind: 'accepted' };
  };
  await rig.start();
  await rig.sim.run(() => batches === 5 || rig.texts.includes('the only line'));
  rig.kill();
  expect(rig.texts).toContain('the only line');
});

describe('a host that refuses', () => {
  it('is asked again, and complained about once', async () => {
    const rig = new TailRig();
    rig.append('secret\n');
    rig.host.deny(`${logs}/app.log`);
    await rig.start();
    await rig.advance(10_000);
    const complaints = () => rig.log.lines.filter(({ level }) => level === 'warn');
    expect(complaints()).toHaveLength(1);
    rig.host.deny(`${logs}/app.log`, false);
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['secret']);
    expect(complaints()).toHaveLength(1);
  });

  it('may fail to search, to read and to remember: then nothing new is read, and nothing is lost', async () => {
    const rig = await started();
    for (const operation of ['list', 'read', 'write', 'open', 'inspect'] as const) {
      rig.files.failing = { operation, kind: 'io' };
      rig.append(`${operation}\n`);
      rig.append(`new log while ${operation} fails\n`, `app.log.${operation}`);
      await rig.advance(5_000);
      rig.files.failing = undefined;
      await rig.advance(5_000);
    }
    expect(new Set(rig.texts).size).toBe(10);
    expect(rig.taken).toHaveLength(10);
    expect(rig.log.lines.filter(({ level }) => level === 'warn' || level === 'error').length).toBeLessThan(20);
  });

  it('may have damaged the checkpoints: they are put aside, and all is read again under the same names', async () => {
    const rig = await started();
    rig.append('one\n');
    await rig.advance(3_000);
    await rig.stop();
    rig.host.append(`${stateDirectory}/checkpoints.json`, '}');
    await rig.start();
    await rig.advance(3_000);
    expect(rig.texts).toEqual(['one', 'one']);
    expect(rig.unique()).toHaveLength(1);
    expect(rig.host.paths().some((path) => path.includes('checkpoints.json.damaged-'))).toBe(true);
    expect(rig.log.lines.some(({ level, message }) => level === 'error' && message.includes('put aside'))).toBe(true);
  });
});

it('reads the file that was changed least recently to its end first, if told so', async () => {
  const rig = new TailRig({ oldest_first: true, max_read_bytes: 1_024, max_line_bytes: 64 });
  const lines = (name: string): string => Array.from({ length: 200 }, (_, line) => `${name} ${line}\n`).join('');
  rig.append(lines('old'), 'app.log.2');
  await rig.advance(1_000);
  rig.append(lines('new'), 'app.log.1');
  await rig.start();
  await rig.advance(3_000);
  expect(rig.taken).toHaveLength(400);
  expect(rig.texts.slice(0, 200).every((text) => text.startsWith('old'))).toBe(true);
});

it('offers nothing behind what was refused as it was told to stop', async () => {
  const rig = new TailRig();
  let refuse: (() => void) | undefined;
  rig.answer = () => {
    if (refuse !== undefined) return { kind: 'accepted' };
    return new Promise((resolve) => {
      refuse = () => resolve({ kind: 'unavailable', reason: 'it is stopping', retryAfterMs: 10 });
    });
  };
  rig.append('one\n');
  await rig.start();
  await rig.sim.run(() => refuse !== undefined);
  rig.append('two\n');
  await rig.advance(300); // Read, and waiting for its turn.
  await rig.sim.run(() => rig.sim.pending().some((call) => call.startsWith('inspect')));
  const stopped = rig.stop(); // In the middle of a look: behind it stands what is to be sent next.
  refuse?.();
  await stopped;
  await rig.start();
  await rig.advance(1_500);
  expect(rig.texts).toEqual(['one', 'two']);
});
