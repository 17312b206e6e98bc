// spillway-syslog: `type: syslog`. README.md says what it promises.
import { defineSink, type SinkDefinition } from 'spillway/plugin';
import { schema } from './options.ts';
import { SyslogSink } from './syslog-sink.ts';

const definition: SinkDefinition = defineSink({
  type: 'syslog',
  schema,
  signals: () => ['logs'],
  create: (options, context) => new SyslogSink(options, context),
});

// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its package.
export default definition;
