// spillway-mqtt: `type: mqtt`. README.md says what it promises.
import { defineSink, type SinkDefinition } from 'spillway/plugin';
import { createMqttSink } from './mqtt-sink.ts';
import { checkMqttOptions, schema } from './options.ts';

const definition: SinkDefinition = defineSink({
  type: 'mqtt',
  schema,
  check: checkMqttOptions,
  create: createMqttSink,
});

// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its package.
export default definition;
