import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Api, loadApi, loadBeside } from './optional-peers.ts';
import { quietBy } from './quiet.ts';

interface FullApi extends Api {
  readonly ROOT_CONTEXT: unknown;
  readonly context: Api['context'] & { setGlobalContextManager(manager: object): boolean; disable(): void };
}

const api = loadApi() as FullApi;
const { isTracingSuppressed } = loadBeside<{ isTracingSuppressed(context: unknown): boolean }>(
  '@opentelemetry/otlp-transformer',
  '@opentelemetry/core',
);

beforeEach(() => {
  const storage = new AsyncLocalStorage<unknown>();
  api.context.setGlobalContextManager({
    active: () => storage.getStore() ?? api.ROOT_CONTEXT,
    with: (context: unknown, work: () => unknown) => storage.run(context, work),
    enable: () => undefined,
    disable: () => undefined,
  });
});

afterEach(() => {
  api.context.disable();
});

it('keeps the SDK from tracing what is done in it, and what that begins', async () => {
  const suppressed = (): boolean => isTracingSuppressed(api.context.active());
  const quiet = quietBy(api);
  expect(suppressed()).toBe(false);
  const [atOnce, later] = quiet(() => [suppressed(), Promise.resolve().then(suppressed)] as const);
  expect([atOnce, await later, suppressed()]).toEqual([true, true, false]);
});
