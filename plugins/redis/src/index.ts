// spillway-redis: `type: redis`. README.md says what it promises.
import { defineSink, type SinkDefinition } from 'spillway/plugin';
import { schema } from './options.ts';
import { createRedisSink } from './redis-sink.ts';
import { checkRedisOptions } from './surroundings.ts';

const definition: SinkDefinition = defineSink({
  type: 'redis',
  schema,
  check: checkRedisOptions,
  create: createRedisSink,
});

// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its package.
export default definition;
