// What every sink does, this one does, too.
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
  const stall = async (): Promise<void> => {
    receiver.behaviour = { kind: 'never reads' };
  };
  return {
    definition,
    options: { address: `127.0.0.1:${receiver.port}`, max_message_bytes: 65_536, ...options },
    world: realWorld(),
    received: async () => all.flatMap(({ messages }) => messages).flatMap(({ bytes }) => markersIn(bytes)),
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
    ...(options['confirm'] === 'receipt' ? {} : { stall }),
    close: async () => (gone ? undefined : await current.stop()),
  };
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
