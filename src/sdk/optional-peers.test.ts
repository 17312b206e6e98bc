import { expect, it } from 'vitest';
import { loadApi, loadPeer, loadSerializer } from './optional-peers.ts';

it('says in one line what to install where a package is missing', () => {
  const load = (): unknown => loadPeer('@opentelemetry/no-such-package', 'spillway/opentelemetry');
  expect(load).toThrow(
    'spillway/opentelemetry needs @opentelemetry/no-such-package, which is not installed: ' +
      'npm i @opentelemetry/no-such-package',
  );
  expect(load).toThrow(expect.objectContaining({ code: 'SPILLWAY_USAGE_PEER' }));
});

it('takes what is installed', () => {
  expect(typeof loadApi().context.active).toBe('function');
  for (const signal of ['logs', 'traces', 'metrics'] as const) expect(typeof loadSerializer(signal)).toBe('function');
});
