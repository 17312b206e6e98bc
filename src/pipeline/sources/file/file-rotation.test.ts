// Each way in which a log is rotated, as a story of its own. All ways mixed: file-rotation.sim.test.ts.

import { describe, expect, it } from 'vitest';
import { logs, TailRig } from '../../../../test/tail-rig.ts';

const onlyTheLog = { include: [`${logs}/app.log`] };

async function reading(text: string, options: object = {}): Promise<TailRig> {
  const rig = new TailRig(options);
  await rig.start();
  rig.append(text);
  await rig.advance(3_000);
  return rig;
}

function fingerprints(rig: TailRig): number {
  return new Set(rig.taken.map(({ fingerprint }) => fingerprint)).size;
}

describe('rotation by rename', () => {
  for (const options of [{}, onlyTheLog]) {
    const where = 'include' in options ? 'a name that no pattern finds' : 'a name that a pattern finds';

    it(`reads the old file to its end, under ${where}, and the new one from its beginning`, async () => {
      const rig = await reading('one\n', options);
      rig.append('two\n');
      rig.rename('app.log', 'app.log.1');
      rig.append('three\n', 'app.log.1');
      await rig.advance(1_500);
      rig.append('new one\n');
      rig.append('four\n', 'app.log.1');
      await rig.advance(30_000);
      rig.append('five\n', 'app.log.1');
      await rig.advance(2_000);
      expect([...rig.texts].sort()).toEqual(['five', 'four', 'new one', 'one', 'three', 'two']);
      expect(fingerprints(rig)).toBe(2);
    });
  }

  it('lets the old file go when nothing was added for long, and takes its last line as it is', async () => {
    const rig = await reading('one\npart', { ...onlyTheLog, rotate_wait_secs: 10 });
    rig.rename('app.log', 'gone');
    await rig.advance(9_000);
    expect(rig.texts).toEqual(['one']);
    expect(rig.files.openCount).toBe(1);
    await rig.advance(4_000);
    expect(rig.texts).toEqual(['one', 'part']);
    expect(rig.files.openCount).toBe(0);
  });

  it('reads a removed file to its end, even one without a whole line', async () => {
    const rig = await reading('only a part', { ...onlyTheLog, rotate_wait_secs: 10 });
    rig.host.remove(`${logs}/app.log`);
    await rig.advance(14_000);
    expect(rig.texts).toEqual(['only a part']);
  });

  it('tells logs apart that begin with the same line', async () => {
    const rig = await reading('=== log ===\n');
    for (const round of [1, 2, 3]) {
      rig.append(`line ${round}\n`);
      rig.rename('app.log', `app.log.${round}`);
      rig.append('=== log ===\n');
      await rig.advance(10_000);
    }
    expect(rig.unique().filter(({ text }) => text.startsWith('line')).length).toBe(3);
    expect(rig.unique().filter(({ text }) => text.startsWith('===')).length).toBe(4);
    expect(fingerprints(rig)).toBe(4);
  });

  it('happens while it is stopped: both files are known', async () => {
    const rig = await reading('one\n');
    await rig.stop();
    rig.append('two\n');
    rig.rename('app.log', 'app.log.1');
    rig.append('three\n', 'app.log.1');
    rig.append('new one\n');
    await rig.start();
    await rig.advance(3_000);
    expect([...rig.texts].sort()).toEqual(['new one', 'one', 'three', 'two']);
  });

  it('gives an inode to a new file that an old one had', async () => {
    const rig = await reading('one\ntwo\n', { rotate_wait_secs: 5 });
    rig.host.reusesNumbers = true;
    await rig.stop();
    rig.host.remove(`${logs}/app.log`);
    rig.append('new one\nnew two\nnew three\n');
    await rig.start();
    await rig.advance(3_000);
    expect(rig.texts).toEqual(['one', 'two', 'new one', 'new two', 'new three']);
  });
});

describe('rotation by copy and truncate', () => {
  for (const isStopped of [false, true]) {
    it(`reads from the copy what was not read of the original${isStopped ? ', after a restart' : ''}`, async () => {
      const rig = await reading('one\ntwo\n');
      if (isStopped) await rig.stop();
      rig.append('three\n');
      rig.copy('app.log', 'app.log.1');
      rig.truncate();
      rig.append('new one\n');
      if (isStopped) await rig.start();
      await rig.advance(10_000);
      expect([...rig.texts].sort()).toEqual(['new one', 'one', 'three', 'two']);
      expect(rig.taken.find(({ text }) => text === 'three')).toMatchObject({ path: `${logs}/app.log.1`, offset: 8 });
      expect(rig.taken.find(({ text }) => text === 'new one')?.offset).toBe(0);
    });
  }

  it('does not read the copy again, whatever its name becomes', async () => {
    const rig = await reading('one\ntwo\nthree\n');
    for (let round = 0; round < 4; round++) {
      for (let number = round; number > 0; number--) rig.rename(`app.log.${number}`, `app.log.${number + 1}`);
      rig.copy('app.log', 'app.log.1');
      rig.truncate();
      rig.append(`new ${round}\nsecond of ${round}\n`);
      await rig.advance(3_000);
      if (round === 2) await rig.stop();
      if (round === 2) await rig.start();
    }
    expect(new Set(rig.texts).size).toBe(11);
    expect(rig.taken).toHaveLength(11);
  });

  it('notices a file that has grown beyond where it was', async () => {
    const rig = await reading('one\ntwo\n');
    rig.truncate();
    rig.append('completely different\nand longer than before\n');
    await rig.advance(2_000);
    expect(rig.texts).toEqual(['one', 'two', 'completely different', 'and longer than before']);
    expect(fingerprints(rig)).toBe(2);
  });

  it('notices a file that begins with the same line again', async () => {
    const rig = await reading('=== log ===\none\n');
    rig.truncate();
    rig.append('=== log ===\ntwo\nthree\n');
    await rig.advance(10_000);
    expect(rig.unique().map(({ text }) => text)).toEqual(['=== log ===', 'one', '=== log ===', 'two', 'three']);
  });

  it('sees a copy grow, and does not take it for a new log', async () => {
    const text = Array.from({ length: 2_000 }, (_, line) => `line ${line} of a log that takes a while to copy`).join(
      '\n',
    );
    const rig = await reading(`${text}\n`);
    const bytes = rig.host.text(`${logs}/app.log`);
    for (let at = 0; at < bytes.length; at += 20_000) {
      rig.append(bytes.slice(at, at + 20_000), 'app.log.1');
      await rig.advance(2_500);
    }
    rig.truncate();
    rig.append('new\n');
    await rig.advance(10_000);
    expect(rig.taken).toHaveLength(2_001);
  });

  it('reads behind the hole that a writer leaves who goes on where he was', async () => {
    const rig = await reading('one\ntwo\n');
    rig.truncate();
    rig.append('\0'.repeat(300_000));
    rig.append('three\nfour\n');
    await rig.advance(3_000);
    expect(rig.texts).toEqual(['one', 'two', 'three', 'four']);
    expect(rig.taken[2]?.offset).toBe(300_000);
  });

  it('cannot be told from a second file with the same lines, until one of them goes on', async () => {
    const rig = await reading('started\n');
    rig.append('started\n', 'app.log-of-another');
    await rig.advance(10_000);
    expect(rig.texts).toEqual(['started']);
    rig.append('another line\n', 'app.log-of-another');
    rig.append('one line\n');
    await rig.advance(10_000);
    expect(new Set(rig.texts)).toEqual(new Set(['started', 'one line', 'another line']));
    expect(new Set(rig.unique().map(({ fingerprint }) => fingerprint)).size).toBe(2);
  });

  it('is told from it by the inode, where the config says so', async () => {
    const rig = await reading('started\n', { fingerprint: { strategy: 'device_and_inode' } });
    rig.append('started\n', 'app.log-of-another');
    await rig.advance(3_000);
    expect(rig.texts).toEqual(['started', 'started']);
    rig.rename('app.log', 'app.log.1');
    rig.append('more\n', 'app.log.1');
    rig.append('new\n');
    await rig.advance(3_000);
    expect(rig.texts.slice(2).sort()).toEqual(['more', 'new']);
    rig.truncate();
    rig.append('even newer\n');
    await rig.advance(3_000);
    expect(rig.unique().at(-1)).toMatchObject({ text: 'even newer', offset: 0 });
  });
});

it('keeps no more files open than it may, and reads all', async () => {
  const rig = new TailRig();
  for (let number = 0; number < 600; number++) rig.append(`first of ${number}\n`, `app.log.${number}`);
  await rig.start();
  await rig.advance(20_000);
  for (let number = 0; number < 600; number += 7) rig.append(`second of ${number}\n`, `app.log.${number}`);
  await rig.advance(20_000);
  expect(new Set(rig.texts).size).toBe(600 + 86);
  expect(rig.files.openCountMax).toBeLessThanOrEqual(256);
});

it('makes room when the process may open no more, and reads all once it may', async () => {
  const rig = new TailRig();
  for (let number = 0; number < 30; number++) rig.append(`first of ${number}\n`, `app.log.${number}`);
  await rig.start();
  await rig.advance(2_000);
  rig.files.failing = { operation: 'open', kind: 'limit' };
  rig.append('more\n', 'app.log.7');
  rig.append('new\n', 'app.log.30');
  await rig.advance(3_000);
  expect(rig.files.openCount).toBe(0);
  rig.files.failing = undefined;
  await rig.advance(3_000);
  expect(rig.texts.slice(30).sort()).toEqual(['more', 'new']);
});
