// A real Redis that speaks TLS and asks for a certificate: while its authority is not trusted everything stays on the
// disk, and the file that is put right is found without a restart of anybody.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startServer } from '../containers.ts';
import { faultOf } from '../faults.ts';
import { freePort } from '../free-port.ts';
import { localImage } from '../local-images.ts';
import { numbersIn } from '../number-load.ts';
import { RedisClient } from '../redis-client.ts';
import { needs } from '../requirements.ts';
import { durableRedis } from './redis.ts';
import { SinkRig } from './sink-rig.ts';
import type { StartedSubject } from './sink-subject.ts';

const some = 500;
const stream = 'numbers';

class Folder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'spillway-redis-tls-'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** `<name>.pem` and `<name>.key`, signed by themselves or by an authority that is here already. */
  certify(name: string, authority?: string): void {
    const openssl = (...args: readonly string[]): Buffer => execFileSync('openssl', args, { stdio: 'pipe' });
    const [key, crt, request] = [`${name}.key`, `${name}.pem`, `${name}.csr`].map((file) => this.file(file));
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key as string];
    const named = ['-subj', `/CN=spillway ${name}`];
    if (authority === undefined) {
      openssl('req', '-x509', ...made, ...named, '-days', '2', '-out', crt as string);
    } else {
      writeFileSync(this.file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
      openssl('req', ...made, ...named, '-out', request as string);
      const signed = ['-CA', this.file(`${authority}.pem`), '-CAkey', this.file(`${authority}.key`), '-CAcreateserial'];
      const rest = ['-days', '2', '-extfile', this.file('names'), '-in', request as string, '-out', crt as string];
      openssl('x509', '-req', ...signed, ...rest);
    }
    chmodSync(key as string, 0o644);
  }
}

async function start(folder: Folder): Promise<StartedSubject> {
  // Beside TLS for the sink, in the clear for the test.
  const plainPort = await freePort();
  const server = await startServer({
    image: localImage('redis') as string,
    port: 6380,
    samePorts: [plainPort],
    data: folder.path,
    command: [
      ...durableRedis,
      ...['--port', String(plainPort), '--tls-port', '6380', '--tls-ca-cert-file', '/data/authority.pem'],
      ...['--tls-cert-file', '/data/server.pem', '--tls-key-file', '/data/server.key'],
    ],
  });
  const tls = {
    ca_file: folder.file('trusted.pem'),
    crt_file: folder.file('client.pem'),
    key_file: folder.file('client.key'),
  };
  return {
    server,
    version: '',
    sink: { type: 'redis', url: `rediss://127.0.0.1:${server.port}`, stream, tls, connect_timeout_secs: 1 },
    answers: () => RedisClient.answers(plainPort),
    numbers: async () => (await RedisClient.entries(plainPort, stream)).flatMap(({ data }) => numbersIn(data)),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test('Redis over TLS, an authority that is not trusted, then is, and a restart: all is there once, in order', {
  timeout: 120_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'redis-image', 'openssl');
  if (reason !== undefined) return context.skip(reason);
  using folder = new Folder();
  folder.certify('authority');
  folder.certify('stranger');
  for (const name of ['server', 'client']) folder.certify(name, 'authority');
  copyFileSync(folder.file('stranger.pem'), folder.file('trusted.pem'));
  const started = await start(folder);
  await using rig = await SinkRig.start(started);
  const blocked = await rig.reaches('blocked');
  expect(blocked.reason).toMatch(/the certificate is not trusted/);
  await rig.accepts(some);
  expect(await started.numbers()).toEqual([]);
  copyFileSync(folder.file('authority.pem'), folder.file('trusted.pem'));
  await rig.delivers();
  await rig.accepts(some);
  await rig.killPipeline();
  const { begin, end } = await faultOf('restarted', started.server);
  await begin();
  await end();
  await rig.accepts(some);
  await rig.delivers();
  expect(await rig.finishes(), rig.pipeline.log).toBe(0);
  expect(await rig.verdict()).toEqual({ missing: [], disorder: [], repeats: 0, invented: [] });
  expect(await rig.storedEvents()).toBe(0);
});
