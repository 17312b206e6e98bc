// spillway-nats: `type: nats`. README.md says what it promises.
import { defineSink, type SinkDefinition } from 'spillway/plugin';
import { createNatsSink } from './nats-sink.ts';
import { schema } from './options.ts';
import { checkNatsOptions } from './surroundings.ts';

const definition: SinkDefinition = defineSink({
  type: 'nats',
  schema,
  check: checkNatsOptions,
  create: createNatsSink,
});

// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its package.
export default definition;
