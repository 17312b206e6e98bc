// What syslog loses when a receiver is killed that has acknowledged, by its system, and not read: it stands still while
// the load goes on, and dies.

import { getContainerRuntimeClient } from 'testcontainers';
import { expect } from 'vitest';
import { recordFigure } from './sink-results.ts';
import { SinkRig } from './sink-rig.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const meanwhile = 3_000;

/** Of what was accepted in the end: how many numbers are missing. */
export async function lossOfUnread(subject: SinkSubject): Promise<number> {
  const started = await subject.start();
  await using rig = await SinkRig.start(started);
  await rig.accepts(500);
  await rig.delivers();
  await killUnread(started, () => rig.accepts(meanwhile));
  await rig.delivers();
  expect(await rig.finishes(), rig.pipeline.log).toBe(0);
  const { missing, disorder, invented } = await rig.verdict();
  expect({ disorder, invented }).toEqual({ disorder: [], invented: [] });
  const answer = `${missing.length} of ${meanwhile} that were accepted while it stood still`;
  recordFigure(subject, started.version, 'Lost when the receiver stands still and is then killed', answer);
  return missing.length;
}

/** SIGSTOP, not a pause of the container: a paused one cannot be killed. */
async function killUnread({ server }: StartedSubject, between: () => Promise<void>): Promise<void> {
  const { container: containers } = await getContainerRuntimeClient();
  const container = containers.getById(server.container.getId());
  await container.kill({ signal: 'SIGSTOP' });
  await between();
  await container.kill({ signal: 'SIGKILL' });
  await container.start();
}
