// The `otlp` source: OTLP over HTTP/1.1, protobuf and JSON, as SDKs and collectors send it.
//
// A request is answered when the buffers have it, and not before. Protobuf is walked, so that no request gets in that a
// receiver could not decode, and handed on byte for byte; JSON is converted once, here. Every refusal is a
// google.rpc.Status in the encoding of the request.

import type { IncomingMessage } from 'node:http';
import { checkRequest } from '../../../otlp/check.ts';
import { jsonToRequest } from '../../../otlp/json.ts';
import { encodePartialSuccess, encodeStatus, type ResponseEncoding } from '../../../otlp/response.ts';
import type { Signal } from '../../../otlp/signal.ts';
import { defineSource, type SourceDefinition } from '../../contract/definition.ts';
import type { EmitResult, Source, SourceContext } from '../../contract/source.ts';
import { type HttpAnswer, type HttpHandler, type Refusal, retryAfterHeader } from '../http-answer.ts';
import { HttpListener } from '../http-listener.ts';
import { checkAddress, limitsOf, type OtlpSourceOptions, otlpSourceSchema } from './otlp-options.ts';

export const otlpSource: SourceDefinition = defineSource({
  type: 'otlp',
  schema: otlpSourceSchema,
  signals: (options) => options.signals,
  check: checkAddress,
  create: (options, context) => new OtlpSource(options, context),
});

const signalOfPath: ReadonlyMap<string, Signal> = new Map([
  ['/v1/logs', 'logs'],
  ['/v1/traces', 'traces'],
  ['/v1/metrics', 'metrics'],
]);

class OtlpSource implements Source, HttpHandler {
  readonly #options: OtlpSourceOptions;
  readonly #context: SourceContext;
  #address: string | undefined;

  constructor(options: OtlpSourceOptions, context: SourceContext) {
    this.#options = options;
    this.#context = context;
  }

  get address(): string | undefined {
    return this.#address;
  }

  async run(): Promise<void> {
    const { world, log, stopping } = this.#context;
    if (stopping.aborted) return;
    const listener = new HttpListener({
      handler: this,
      limits: limitsOf(this.#options),
      allowedOrigins: this.#options.allowed_origins,
      clock: world.clock,
      log,
    });
    this.#address = await listener.listen(this.#options.address);
    log.info('listens for OTLP over HTTP', { address: this.#address });
    if (!stopping.aborted) {
      await new Promise<void>((resolve) => stopping.addEventListener('abort', () => resolve(), { once: true }));
    }
    await listener.close();
    this.#address = undefined;
  }

  refusesHead(head: IncomingMessage): Refusal | undefined {
    const path = pathOf(head);
    const signal = signalOfPath.get(path);
    if (signal === undefined || !this.#options.signals.includes(signal)) {
      const paths = [...signalOfPath].flatMap(([each, of]) => (this.#options.signals.includes(of) ? [each] : []));
      return { status: 404, message: `nothing is here; expected ${paths.join(', ')}` };
    }
    if (head.method !== 'POST') {
      return { status: 405, message: `${path} takes POST and nothing else`, headers: { allow: 'POST' } };
    }
    if (encodingOf(head) !== undefined) return undefined;
    return { status: 415, message: 'the content-type is neither application/x-protobuf nor application/json' };
  }

  async handle(head: IncomingMessage, body: Uint8Array, gone: AbortSignal): Promise<HttpAnswer | Refusal> {
    const signal = signalOfPath.get(pathOf(head)) ?? 'logs';
    const encoding = encodingOf(head) ?? 'protobuf';
    const request = encoding === 'json' ? jsonToRequest(signal, body) : counted(signal, body);
    if (!request.ok) return { status: request.isTooLarge === true ? 413 : 400, message: request.reason };
    const { bytes, events } = request;
    if (events === 0) return success(encoding);
    const { max_wait_secs: maxWaitMs } = this.#options;
    const result = await this.#context.emit({ signal, events, bytes }, { maxWaitMs, signal: gone });
    switch (result.kind) {
      case 'accepted':
        return success(encoding);
      case 'dropped':
        return partialSuccess(signal, encoding, result);
      case 'full':
        return { status: 429, message: 'the buffer is full; come again', retryAfterMs: result.retryAfterMs };
      case 'unavailable':
        return { status: 503, message: `not taken: ${result.reason}`, retryAfterMs: result.retryAfterMs };
      case 'too_large':
        return { status: 413, message: `an event is larger than the ${result.limitBytes} bytes that a buffer takes` };
    }
  }

  answerRefusal(head: IncomingMessage, { status, message, retryAfterMs, headers }: Refusal): HttpAnswer {
    // Whoever sends neither encoding is most likely a person, and reads JSON.
    const encoding = encodingOf(head) ?? 'json';
    return {
      status,
      headers: { 'content-type': contentTypes[encoding], ...retryAfterHeader(retryAfterMs), ...headers },
      body: encodeStatus({ code: rpcCodes[status], message }, encoding),
    };
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function encodingOf({ headers }: IncomingMessage): ResponseEncoding | undefined {
  const type = headers['content-type'];
  if (type === contentTypes.protobuf) return 'protobuf';
  switch (type?.split(';', 1)[0]?.trim().toLowerCase()) {
    case contentTypes.protobuf:
      return 'protobuf';
    case contentTypes.json:
      return 'json';
    default:
      return undefined;
  }
}

const contentTypes: Readonly<Record<ResponseEncoding, string>> = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
};

/** Of all signals alike; made once, because nearly every request is answered with it. */
const emptyResponse: Readonly<Record<ResponseEncoding, Uint8Array>> = {
  protobuf: encodePartialSuccess('logs', undefined, 'protobuf'),
  json: encodePartialSuccess('logs', undefined, 'json'),
};

type Counted =
  | { readonly ok: true; readonly bytes: Uint8Array; readonly events: number }
  | { readonly ok: false; readonly reason: string; readonly isTooLarge?: true };

function counted(signal: Signal, bytes: Uint8Array): Counted {
  const events = checkRequest(signal, bytes);
  if (events === undefined) return { ok: false, reason: `the body is no OTLP request for ${signal}` };
  if (events !== 'too_many_messages') return { ok: true, bytes, events };
  return { ok: false, reason: 'the body has too many messages in it; send smaller batches', isTooLarge: true };
}

function success(encoding: ResponseEncoding): HttpAnswer {
  return { status: 200, headers: { 'content-type': contentTypes[encoding] }, body: emptyResponse[encoding] };
}

/** A partial success is final: the client does not send the dropped events again, as the policy wants it. */
function partialSuccess(
  signal: Signal,
  encoding: ResponseEncoding,
  { events, reason }: Extract<EmitResult, { kind: 'dropped' }>,
): HttpAnswer {
  const why = reason === 'disk_full' ? 'the disk behind the buffer is full' : 'the buffer is full';
  const refused = { rejected: events, message: `${why}, and its policy is to drop what is new` };
  const headers = { 'content-type': contentTypes[encoding] };
  return { status: 200, headers, body: encodePartialSuccess(signal, refused, encoding) };
}

/** google.rpc.Code of each refusal. */
const rpcCodes: Readonly<Record<Refusal['status'], number>> = {
  400: 3, // INVALID_ARGUMENT
  403: 7, // PERMISSION_DENIED
  404: 5, // NOT_FOUND
  405: 12, // UNIMPLEMENTED
  408: 4, // DEADLINE_EXCEEDED
  413: 3,
  415: 3,
  429: 8, // RESOURCE_EXHAUSTED
  500: 13, // INTERNAL
  503: 14, // UNAVAILABLE
};
