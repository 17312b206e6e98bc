// What options of a sink with `type: nats` need of the buffer before them and of other sinks: with
// `deduplicate: stream` a stream belongs to one cursor of one buffer whose keys outlive the process (stream-chain.ts).
import type { OptionsProblem, Signal, SinkSurroundings } from 'spillway/plugin';
import type { NatsOptions } from './options.ts';

export const needsDurableBuffer: string =
  'a stream of its own needs a buffer whose keys outlive the process: give it a single disk buffer, or set ' +
  'deduplicate: window, with which events can be repeated after a failure';

export function checkNatsOptions(options: NatsOptions, given: SinkSurroundings<NatsOptions>): OptionsProblem[] {
  const ownsStream = options.deduplicate === 'stream';
  if (ownsStream && !given.buffer.isDurable) return [{ path: ['deduplicate'], message: needsDurableBuffer }];
  const own = new Set(given.signals.map((signal) => streamOf(options, signal)));
  const other = given.earlier.find((each) => {
    // Of one disk buffer an event has the same id from both, and the server takes an id once.
    const hasSameIds = each.buffer.id === given.buffer.id && given.buffer.isDurable;
    const mayShare = !ownsStream && each.options.deduplicate === 'window' && !hasSameIds;
    if (mayShare || !sharesServer(each.options, options)) return false;
    return each.signals.some((signal) => own.has(streamOf(each.options, signal)));
  });
  if (other === undefined) return [];
  const others = other.buffer.id === given.buffer.id ? '' : ', or deduplicate: window in both';
  const message = `"${other.id}" writes to the same stream; expected one that is this sink's alone${others}`;
  return [{ path: [options.stream === undefined ? 'subject' : 'stream'], message }];
}

/** What tells the stream as far as the config does: its name, or a subject that the server finds it by. */
function streamOf({ stream, subject }: NatsOptions, signal: Signal): string {
  if (stream !== undefined) return `stream ${stream.render({ signal })}`;
  return `subject ${subject.source.replaceAll('{signal}', signal)}`;
}

/** Each account of a server has streams of its own, and only the server knows whose account is whose. */
function sharesServer(one: NatsOptions, other: NatsOptions): boolean {
  if (one.domain !== other.domain || identityOf(one) !== identityOf(other)) return false;
  const servers = serversOf(one);
  return serversOf(other).some((server) => servers.includes(server));
}

/** What we show to the server. Secrets among it, so it is only compared. */
function identityOf({ url, auth, tls }: NatsOptions): string {
  const { username, password } = new URL((url.split(',')[0] as string).trim());
  return JSON.stringify([username, password, auth?.strategy, auth?.[auth.strategy], tls?.crt_file]);
}

function serversOf({ url }: NatsOptions): string[] {
  return url.split(',').map((each) => {
    const { hostname, port } = new URL(each.trim());
    return `${hostname}:${port || 4222}`;
  });
}
