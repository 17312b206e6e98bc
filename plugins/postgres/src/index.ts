// spillway-postgres: `type: postgres`. README.md says what it promises.
import { defineSink, type SinkDefinition } from 'spillway/plugin';
import { schema } from './options.ts';
import { createPostgresSink } from './postgres-sink.ts';
import { checkPostgresOptions } from './surroundings.ts';

const definition: SinkDefinition = defineSink({
  type: 'postgres',
  schema,
  check: checkPostgresOptions,
  create: createPostgresSink,
});

// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its package.
export default definition;
