// spillway-rabbitmq: `type: rabbitmq`. README.md says what it promises.
import { defineSink, type SinkDefinition } from 'spillway/plugin';
import { schema } from './options.ts';
import { RabbitmqSink } from './rabbitmq-sink.ts';

const definition: SinkDefinition = defineSink({
  type: 'rabbitmq',
  schema,
  create: (options, context) => new RabbitmqSink(options, context),
});

// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its package.
export default definition;
