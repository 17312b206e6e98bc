// The options of the `otlp` source.

import { type ZodType, z } from 'zod';
import { type Signal, signals } from '../../../otlp/signal.ts';
import type { OptionsProblem, SourceSurroundings } from '../../contract/definition.ts';
import { type Address, address, byteSize, seconds } from '../../contract/values.ts';
import { listenerLimitDefaults as defaults, type ListenerLimits } from '../http-listener.ts';

export interface OtlpSourceOptions {
  readonly address: Address;
  readonly insecure: boolean;
  readonly signals: readonly Signal[];
  readonly max_wait_secs: number;
  readonly allowed_origins: readonly string[];
  readonly max_body_bytes: number;
  readonly max_in_flight_bytes: number;
  readonly max_connections: number;
  readonly header_timeout_secs: number;
  readonly body_timeout_secs: number;
  readonly idle_timeout_secs: number;
}

const loopback = /^(?:localhost|::1|127(?:\.\d{1,3}){3})$/i;
const secondsMin = 0.001;

export const otlpSourceSchema: ZodType<OtlpSourceOptions> = z
  .strictObject({
    address: address().prefault('127.0.0.1:4318').describe('Where it listens: OTLP over HTTP/1.1, protobuf and JSON.'),
    insecure: z
      .boolean()
      .default(false)
      .describe('Allows an address other than loopback, where anybody who reaches it may send, unencrypted.'),
    signals: z
      .array(z.enum(signals))
      .min(1)
      .default([...signals])
      .describe('What it takes. Others are answered 404, as by a collector without a pipeline for them.'),
    max_wait_secs: seconds()
      .prefault(5)
      .describe('How long a request waits for room in a full buffer before it is answered 429.'),
    allowed_origins: z
      .array(z.string().min(1))
      .default([])
      .describe('Origins whose web pages may send; "*" for all. Others are answered 403.'),
    max_body_bytes: byteSize({ min: 1 })
      .prefault(defaults.bodyBytesMax)
      .describe('Largest body, after decompression. A larger one is answered 413.'),
    max_in_flight_bytes: byteSize({ min: 1 })
      .prefault(defaults.inFlightBytesMax)
      .describe('Bytes of all bodies held at once. What does not fit is answered 429.'),
    max_connections: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(defaults.connectionsMax)
      .describe('Connections open at once. Others are closed as they come.'),
    header_timeout_secs: seconds({ min: secondsMin })
      .prefault(defaults.headTimeoutMs / 1_000)
      .describe('How long the head of a request may take.'),
    body_timeout_secs: seconds({ min: secondsMin })
      .prefault(defaults.bodyTimeoutMs / 1_000)
      .describe('How long the body of a request may take. A slower one is answered 408.'),
    idle_timeout_secs: seconds({ min: secondsMin })
      .prefault(defaults.idleTimeoutMs / 1_000)
      .describe('How long a connection may be silent between requests.'),
  })
  .superRefine(({ address: { host }, insecure }, context) => {
    if (insecure || loopback.test(host)) return;
    const message =
      `${host} is not loopback: everybody who reaches it could send, unencrypted and without a token; ` +
      'listen on 127.0.0.1, or set insecure: true';
    context.addIssue({ code: 'custom', path: ['address'], message });
  });

/** An address can be listened on once. Port 0 is another one each time. */
export function checkAddress(
  { address: own }: OtlpSourceOptions,
  { earlier, healthAddress }: SourceSurroundings<OtlpSourceOptions>,
): OptionsProblem[] {
  const isTaken = ({ host, port }: Address): boolean => host === own.host && port === own.port && port !== 0;
  const other = earlier.find(({ options }) => isTaken(options.address));
  const owner = other === undefined ? 'health' : `"${other.id}"`;
  if (other === undefined && (healthAddress === undefined || !isTaken(healthAddress))) return [];
  const message = `${owner} listens there, too; expected an address that is this source's alone, such as another port`;
  return [{ path: ['address'], message }];
}

/** What ends in `_secs` is seconds in the config and milliseconds once it is parsed. */
export function limitsOf(options: OtlpSourceOptions): ListenerLimits {
  return {
    bodyBytesMax: options.max_body_bytes,
    inFlightBytesMax: options.max_in_flight_bytes,
    connectionsMax: options.max_connections,
    headTimeoutMs: options.header_timeout_secs,
    bodyTimeoutMs: options.body_timeout_secs,
    idleTimeoutMs: options.idle_timeout_secs,
  };
}
