import { describe, it } from 'vitest';
import { postOnce } from '../../../../test/http-rig.ts';
import { realWorld, type SourceHarness, sampleRequest, sourceCases } from '../../../testing/index.ts';
import { otlpSource } from './otlp-source.ts';

const headers = { 'content-type': 'application/x-protobuf' };

/** A client that sends its events one by one, and one that came to nothing until it came to something. */
function harness(eventsOfRequest: number): SourceHarness {
  const world = realWorld();
  let next = 1;
  let isOver = false;
  return {
    definition: otlpSource,
    options: { address: '127.0.0.1:0' },
    world,
    async produce(count, source) {
      for (let left = count; left > 0; left -= eventsOfRequest) {
        const events = Math.min(left, eventsOfRequest);
        const { bytes } = sampleRequest('logs', next, events);
        next += events;
        for (let url = await addressOf(source); url !== undefined && (await isToRepeat(url, bytes)); ) {
          await pause(20);
          url = await addressOf(source);
        }
      }
    },
    close: async () => {
      isOver = true;
    },
  };

  /** Undefined when the case is over and the source has had none until then. */
  async function addressOf(source: { readonly address?: string | undefined } | undefined): Promise<string | undefined> {
    while (source?.address === undefined && !isOver) await pause(1);
    return source?.address;
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => void world.clock.setTimer(ms, resolve));
  }
}

async function isToRepeat(url: string, bytes: Uint8Array): Promise<boolean> {
  const { status } = await postOnce(url, '/v1/logs', headers, bytes);
  return status === 429 || status === 503;
}

describe.each([1, 100])('the otlp source with %i events a request', (eventsOfRequest) => {
  for (const { name, run } of sourceCases(() => harness(eventsOfRequest))) it(name, run);
});
