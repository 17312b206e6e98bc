// What every sink does, this one does, too.
//
// With `confirm: close` on a system that does not show its connections, because some cases leave half a second for all
// of it: looking there can take long on a machine with much else to do. syslog-sink.test.ts looks.
import type { HostFiles, World } from 'spillway/plugin';
import { markersIn, realWorld, type SinkHarness, sinkCases } from 'spillway/testing';
import { describe, test } from 'vitest';
import { authorityFile, receiverTls } from '../test/certificates.ts';
import { ReceiverDouble } from '../test/receiver-double.ts';
import definition from './index.ts';

async function harness(options: Readonly<Record<string, unknown>>, hasTls: boolean): Promise<SinkHarness> {
  const receiver = await ReceiverDouble.start(hasTls ? receiverTls : undefined);
  let gone = false;
  let current = receiver;
  const all = [receiver];
  const isReceipt = options['confirm'] === 'receipt';
  const stall = async (): Promise<void> => {
    receiver.behaviour = { kind: 'never reads' };
  };
  return {
    definition,
    options: { address: `127.0.0.1:${receiver.port}`, max_message_bytes: 65_536, ...options },
    world: isReceipt ? realWorld() : worldWithoutTable(),
    async received() {
      for (const each of all) await each.quiet();
      return all.flatMap(({ messages }) => messages).flatMap(({ bytes }) => markersIn(bytes));
    },
    outage: {
      async begin() {
        gone = true;
        await current.stop();
      },
      async end() {
        gone = false;
        current = await ReceiverDouble.start(hasTls ? receiverTls : undefined, receiver.port);
        all.push(current);
      },
    },
    // What a receiver's system has acknowledged is a receipt, whether its process reads it or not.
    ...(isReceipt ? {} : { stall }),
    close: async () => (gone ? undefined : await current.stop()),
  };
}

function worldWithoutTable(): World {
  const world = realWorld();
  const readText = async (path: string): Promise<string | undefined> =>
    path.startsWith('/proc/net/') ? undefined : await world.files.readText(path);
  // The sink asks its files for nothing else.
  return { ...world, files: { readText } as HostFiles };
}

const tls = { enabled: true, ca_file: authorityFile };

describe.each([
  ['confirm: close', { confirm: 'close' }, false],
  ['confirm: receipt', { confirm: 'receipt' }, false],
  ['confirm: close over TLS', { confirm: 'close', tls }, true],
  ['confirm: receipt over TLS', { confirm: 'receipt', tls }, true],
] as const)('with %s', (_, options, hasTls) => {
  for (const { name, run } of sinkCases(() => harness(options, hasTls))) test(name, run);
});
