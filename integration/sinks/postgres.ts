// PostgreSQL as a sink: one table, into which a role writes that may do nothing else.
//
// The table lies on a small file system of its own, a tablespace, so that it can run out of room while the server
// itself goes on. A full disk under the write-ahead log is a crash, and has a test of its own.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type StartedServer, startServer } from '../containers.ts';
import { DiskImage, MemoryDisk } from '../disk-image.ts';
import type { Fault } from '../faults.ts';
import { localImage } from '../local-images.ts';
import { numbersIn } from '../number-load.ts';
import { PostgresClient, superuser, superuserPassword } from '../postgres-client.ts';
import { needs } from '../requirements.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const port = 5432;
const password = 'right-password';
const otherPassword = 'other-password';
const diskBytes = 128 * 1024 * 1024;
/** A new cluster takes 56 MiB, and its write-ahead log grows by 16 at a time. */
const wholeBytes = 160 * 1024 * 1024;
const forSmallDisk = ['root', 'loop-device', 'mkfs.ext4'] as const;

export const table = 'numbers';

/** What the README tells to make. */
const columns = 'key text PRIMARY KEY, epoch bigint, id bigint, signal text, time timestamptz, event jsonb';

export const createTable = (name: string = table): string => `CREATE TABLE ${name} (${columns})`;

export const postgres: SinkSubject = {
  name: 'PostgreSQL',
  plugin: 'spillway-postgres',
  images: ['postgres'],
  keepsOrder: true,
  repeats: 'none',
  runsOutOfMemory: true,
  needsFor: { starved: forSmallDisk },
  acknowledgement: 'The transaction that inserted the row is committed, and its write-ahead log is synced.',
  setUp:
    '`fsync on`, `full_page_writes on`. The sink asks for `synchronous_commit on` in each transaction: that of its ' +
    'role is `off` here, to see it',
  repeatsBecause: "A unique index on the event's key lets every event in once: `ON CONFLICT (key) DO NOTHING`.",
  caveats: [
    'A table has no order of its own: read `ORDER BY epoch, id`, which is the order of the buffer.',
    'A fail-over to an asynchronous standby may lose what the standby did not have yet. `synchronous_standby_names` ' +
      'closes that gap.',
  ],
  start: () => start(),
};

export interface StartedPostgres extends StartedSubject {
  readonly client: PostgresClient;
}

/** With `everything` on a small disk, or the table alone. The first needs root, the second goes without if it must. */
export async function start(onDisk: 'everything' | 'table' = 'table'): Promise<StartedPostgres> {
  const image = localImage('postgres');
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const isWhole = onDisk === 'everything';
  const tableDisk = !isWhole && needs(...forSmallDisk) === undefined ? smallDisk() : undefined;
  const disk = isWhole ? new MemoryDisk(wholeBytes) : tableDisk;
  const server = await startServer({
    image,
    port,
    command: ['-c', 'fsync=on', '-c', 'full_page_writes=on'],
    environment: {
      POSTGRES_PASSWORD: superuserPassword,
      PGDATA: isWhole ? '/data/cluster' : '/var/lib/postgresql/data',
    },
    ...(disk === undefined ? {} : { data: disk.directory }),
  });
  const client = new PostgresClient(server.port);
  if (tableDisk !== undefined) {
    await execute(server, 'chown', 'postgres', '/data/table');
    await client.run("CREATE TABLESPACE small LOCATION '/data/table'");
  }
  await client.run(
    ...(tableDisk === undefined ? [] : ['SET default_tablespace = small']),
    createTable(),
    `CREATE ROLE writer LOGIN PASSWORD '${password}'`,
    // Of this role alone: a server that is killed at once must not have forgotten the role itself.
    'ALTER ROLE writer SET synchronous_commit = off',
    `GRANT INSERT, SELECT (key) ON ${table} TO writer`,
  );
  const [version] = await client.run('SHOW server_version');
  const endpoint = `postgres://writer@127.0.0.1:${server.port}/postgres`;
  return {
    server,
    client,
    version: version?.[0]?.split(' ')[0] ?? 'unknown',
    sink: { type: 'postgres', endpoint, password, table, connect_timeout_secs: 1 },
    answers: () => client.answers(),
    async numbers() {
      const rows = await client.run(`SELECT event FROM ${table} ORDER BY epoch, id`);
      return rows.flatMap(([event]) => numbersIn(event ?? ''));
    },
    wrongPassword: {
      begin: () => asOwner(server, `ALTER ROLE writer PASSWORD '${otherPassword}'`, throwOut),
      end: () => asOwner(server, `ALTER ROLE writer PASSWORD '${password}'`),
    },
    ...(disk === undefined ? {} : { starvation: filling(disk, onDisk) }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      disk?.remove();
    },
  };
}

const throwOut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'writer'";

/** Over the server's own socket, where no password is asked. */
async function asOwner(server: StartedServer, ...statements: readonly string[]): Promise<void> {
  const commands = statements.flatMap((statement) => ['--command', statement]);
  await execute(server, 'psql', '--quiet', '--username', superuser, '--dbname', 'postgres', ...commands);
}

async function execute(server: StartedServer, ...command: string[]): Promise<void> {
  const { exitCode, output } = await server.container.exec(command);
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${output}`);
}

function smallDisk(): DiskImage {
  const disk = new DiskImage('ext4', diskBytes);
  disk.mount();
  mkdirSync(join(disk.directory, 'table'));
  return disk;
}

/** A file takes all the room that is left, and gives it back. */
function filling({ directory }: DiskImage | MemoryDisk, holds: string): Fault & { readonly what: string } {
  const filler = join(directory, 'filler');
  return {
    what: `the disk of its ${holds} is full`,
    async begin() {
      const chunk = Buffer.alloc(1024 * 1024);
      for (let byteLength = chunk.length; byteLength >= 4096; ) {
        try {
          writeFileSync(filler, chunk.subarray(0, byteLength), { flag: 'a' });
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
          byteLength /= 4;
        }
      }
    },
    async end() {
      rmSync(filler);
    },
  };
}
