// What options of a sink with `type: postgres` need of other sinks: of one buffer an event has the same key from each,
// and a table takes a key once. The second sink would leave out as repeats what the first one has written.
import type { OptionsProblem, Signal, SinkSurroundings } from 'spillway/plugin';
import { type Endpoint, parseEndpoint, peerOf } from './endpoint.ts';
import type { PostgresOptions } from './options.ts';
import { parseTableName } from './table-name.ts';

export function checkPostgresOptions(
  options: PostgresOptions,
  { buffer, signals, earlier }: SinkSurroundings<PostgresOptions>,
): OptionsProblem[] {
  const own = new Set(signals.map((signal) => placeOf(options, signal)));
  const other = earlier.find((each) => {
    return each.buffer.id === buffer.id && each.signals.some((signal) => own.has(placeOf(each.options, signal)));
  });
  if (other === undefined) return [];
  const message = `"${other.id}" writes the events of the same buffer to it; expected one that is this sink's alone`;
  return [{ path: ['table'], message }];
}

/** The table and where it is: without a schema where the role looks for it, which may be a schema of its own. */
function placeOf({ endpoint, username, table }: PostgresOptions, signal: Signal): string {
  const server = parseEndpoint(endpoint) as Endpoint;
  const user = username ?? server.user;
  const name = table.replaceAll('{signal}', signal);
  const role = parseTableName(name)?.schema === undefined ? user : undefined;
  return JSON.stringify([peerOf(server), server.database ?? user, role, name]);
}
