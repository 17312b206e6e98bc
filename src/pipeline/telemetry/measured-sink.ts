// A sink whose answers are watched: how long each took, and what it was. The sink, and who drives it, notice nothing.

import type { SinkSettings } from '../contract/settings.ts';
import type { Sink, SinkAnswer, SinkBatch } from '../contract/sink.ts';

/** Told when a batch is given to the sink; what it returns is told the answer, undefined if the sink crashed. */
export type DeliveryWatch = (batch: SinkBatch) => (answer: SinkAnswer | undefined) => void;

export function measuredSink(settings: SinkSettings, watch: DeliveryWatch): SinkSettings {
  const { definition } = settings;
  const create: typeof definition.create = async (options, context) =>
    watched(await definition.create(options, context), watch);
  return { ...settings, definition: { ...definition, create } };
}

function watched(sink: Sink, watch: DeliveryWatch): Sink {
  const { signals, concurrencyMax } = sink;
  return {
    ...(signals === undefined ? {} : { signals }),
    ...(concurrencyMax === undefined ? {} : { concurrencyMax }),
    ...(sink.checkHealth === undefined ? {} : { checkHealth: sink.checkHealth.bind(sink) }),
    ...(sink.close === undefined ? {} : { close: sink.close.bind(sink) }),
    deliver: async (batch, options) => {
      const answered = watch(batch);
      try {
        const answer = await sink.deliver(batch, options);
        answered(answer);
        return answer;
      } catch (cause) {
        answered(undefined);
        throw cause;
      }
    },
  };
}
