// Syslog as a sink: rsyslog, which writes every message as a line into a file.
//
// Without a queue (`queue.type="Direct"`) the thread that reads from a connection writes the file, too, and comes to
// the end of the connection when all before it is written. Its closing then means more than that it has read. Killed
// between a read and the write it is closed by its system, and that end looks no different.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authorityFile, receiverFiles } from '../../plugins/syslog/test/certificates.ts';
import { type StartedServer, startServer } from '../containers.ts';
import { localImage } from '../local-images.ts';
import { numbersIn } from '../number-load.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const port = 6514;
const diskBytes = 32 * 1024 * 1024;
const answerMs = 2_000;

interface Variant {
  readonly hasTls: boolean;
  readonly confirm: 'close' | 'receipt';
}

const common = {
  plugin: 'spillway-syslog',
  images: ['rsyslog'],
  keepsOrder: true,
  repeats: 'possible',
  notApplicable: { 'wrong password': 'syslog has no passwords' },
  // Only root can give it a disk that gets full.
  needsFor: { starved: ['root'] },
  setUp: '`imtcp` into a ruleset with `queue.type="Direct"`; `omfile` with `asyncWriting="off"`, `flushOnTXEnd="on"`',
  repeatsBecause:
    'What was not confirmed is sent again, and syslog has nothing by which a receiver would drop it; the key of the ' +
    'event is in the structured data, to tell repeats by.',
} satisfies Partial<SinkSubject>;

/** What rsyslog does with a full disk is its own: `action.resumeRetryCount="-1"` does not keep it from losing. */
const losesWhenFull =
  'Rsyslog drops messages that it cannot write because its disk is full, although it was told to try for ever.';

const closed =
  'The receiver has closed the connection in turn, after it was told that nothing more comes, and its system had ' +
  'acknowledged every byte: its process has read all of it. Set up as here it writes what it has read before it ' +
  'reads on, or closes.';

const losesWhenKilled =
  'Lost is what the receiver had read and not written when it was killed: its system ends the connection as if all ' +
  'were well. Set up as here that is one read, and most kills lose nothing.';

export const syslogTcp: SinkSubject = {
  ...common,
  name: 'Syslog over TCP',
  losesWith: ['killed', 'restarted', 'starved'],
  acknowledgement: closed,
  caveats: [
    losesWhenFull,
    losesWhenKilled,
    'With a queue in memory, which is the default of rsyslog and most others, what was confirmed and waits in there ' +
      'is lost when the receiver is killed.',
    'A proxy or load balancer in between has to pass the end of a connection on in both directions. One that closes ' +
      'by itself confirms what only it has read.',
  ],
  start: () => start({ hasTls: false, confirm: 'close' }),
};

export const syslogTls: SinkSubject = {
  ...common,
  name: 'Syslog over TLS',
  losesWith: ['killed', 'restarted', 'starved'],
  acknowledgement: closed,
  caveats: [losesWhenFull, losesWhenKilled],
  start: () => start({ hasTls: true, confirm: 'close' }),
};

export const syslogReceipt: SinkSubject = {
  ...common,
  name: 'Syslog over TCP, confirm: receipt',
  losesWith: ['killed', 'restarted', 'starved'],
  acknowledgement:
    "The system that the receiver runs on has acknowledged every byte. The receiver's process may not have read it.",
  caveats: ['Lost is what the receiver had not read when its process or its system died: at most its receive buffer.'],
  start: () => start({ hasTls: false, confirm: 'receipt' }),
};

async function start({ hasTls, confirm }: Variant): Promise<StartedSubject> {
  const image = localImage('rsyslog');
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const data = mkdtempSync(join(tmpdir(), 'spillway-rsyslog-'));
  const hasDisk = mount(data);
  for (const [name, path] of Object.entries({ authority: authorityFile, ...receiverFiles }))
    copyFileSync(path, join(data, `${name}.pem`));
  writeFileSync(join(data, 'rsyslog.conf'), configOf(hasTls));
  const server = await startServer({ image, port, command: ['-f', '/data/rsyslog.conf'], data });
  const tls = { enabled: hasTls, ca_file: authorityFile };
  return {
    server,
    version: await versionOf(server),
    sink: { type: 'syslog', address: `127.0.0.1:${server.port}`, confirm, connect_timeout_secs: 1, tls },
    answers: () => closesInTurn(server.port),
    async numbers() {
      const path = join(data, 'lines');
      return existsSync(path) ? numbersIn(readFileSync(path)) : [];
    },
    starvation: {
      what: 'its disk is full',
      begin: async () => fill(data),
      end: async () => rmSync(join(data, 'filler')),
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      if (hasDisk) spawnSync('umount', [data], { stdio: 'ignore', timeout: 10_000 });
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function configOf(hasTls: boolean): string {
  const driver =
    'defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="/data/authority.pem" ' +
    'defaultNetstreamDriverCertFile="/data/cert.pem" defaultNetstreamDriverKeyFile="/data/key.pem"';
  const mode = 'streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon"';
  return `
global(workDirectory="/data" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off" ${hasTls ? driver : ''})
module(load="imtcp" ${hasTls ? mode : ''})
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="file" queue.type="Direct") {
  action(type="omfile" file="/data/lines" template="raw" asyncWriting="off" flushOnTXEnd="on"
    action.resumeRetryCount="-1" action.resumeInterval="1")
}
input(type="imtcp" port="${port}" ruleset="file")
`;
}

async function versionOf({ container }: StartedServer): Promise<string> {
  const { output } = await container.exec(['rsyslogd', '-v']);
  return /rsyslogd\s+(\S+)/.exec(output)?.[1] ?? 'unknown';
}

/** A disk of its own that can be filled. False: not root. */
function mount(folder: string): boolean {
  mkdirSync(folder, { recursive: true });
  const options = `size=${diskBytes},mode=755`;
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' });
  return status === 0;
}

/** `dd` ends when nothing more fits. */
function fill(folder: string): void {
  const args = ['if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=4k'];
  spawnSync('dd', args, { stdio: 'ignore', timeout: 10_000 });
}

/** Whether somebody takes a connection and closes it after us. */
function closesInTurn(to: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
    const settle = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(answerMs, settle(false));
    socket.on('error', settle(false));
    socket.on('connect', () => socket.end());
    socket.on('end', settle(true));
    socket.resume();
  });
}
