// What a chain tells of its stages: what concerns the whole. Positions and segments are a stage's own affair.

import type { BufferEvents, EventHub } from '../../engine/events.ts';
import type { PipelineBuffer } from '../contract/buffer.ts';

type Name = keyof BufferEvents;

const ofEveryStage = ['lost', 'stalled', 'resumed', 'failed', 'damage', 'quarantined', 'publish_failed'] as const;

/** `lost` is called when a stage has lost something that somebody may hold, or wait for. */
export function forwardEvents(stages: readonly PipelineBuffer[], to: EventHub, lost: (stage: number) => void): void {
  for (const [index, stage] of stages.entries()) {
    for (const name of ofEveryStage) forward(stage, to, name);
    stage.events.on('lost', () => lost(index));
  }
  const last = stages.at(-1);
  if (last !== undefined) forward(last, to, 'full');
}

function forward<Each extends Name>(stage: PipelineBuffer, to: EventHub, name: Each): void {
  stage.events.on(name, (value) => to.emit(name, value));
}
