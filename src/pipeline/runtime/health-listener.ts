// Whether the pipeline is alive, whether it is ready, and what it is doing, by HTTP on an address of its own.
//
//   /healthz  200 while the process answers
//   /readyz   200 while every source runs and every buffer and sink works; 503 with the reasons otherwise
//   /status   what `PipelineStatus` says, as JSON
//   /metrics  the metrics of docs/metrics.md, as Prometheus reads them
//
// An address of its own, because whoever watches the pipeline must not compete with those who send to it.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StorageError } from '../../base/errors.ts';
import { prometheusContentType } from '../../telemetry/prometheus-text.ts';
import type { PipelineStatus } from '../contract/status.ts';

/** Who asks for health asks quickly. A client that is slow, to ask or to read, gives its place back after this. */
const usualPatienceMs = 5_000;

export interface HealthListenerOptions {
  /** What `/metrics` answers. Default: nothing. */
  readonly metrics?: () => Promise<string>;
  readonly patienceMs?: number;
}

export class HealthListener {
  readonly #server: Server;
  readonly #status: () => PipelineStatus;
  readonly #metrics: () => Promise<string>;

  constructor(status: () => PipelineStatus, { metrics, patienceMs = usualPatienceMs }: HealthListenerOptions = {}) {
    this.#status = status;
    this.#metrics = metrics ?? (async () => '');
    const limits = {
      requestTimeout: patienceMs,
      headersTimeout: patienceMs,
      keepAliveTimeout: patienceMs,
      connectionsCheckingInterval: 1_000,
    };
    this.#server = createServer(limits, (request, response) => this.#answer(request, response));
    this.#server.maxConnections = 64;
    this.#server.timeout = patienceMs; // Without a byte in either direction.
  }

  /** Resolves with the address once it listens. Rejects with a StorageError if the system does not let it. */
  async listen({ host, port }: { readonly host: string; readonly port: number }): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      const refused = (cause: Error): void => reject(listenError(authorityOf(host, port), cause));
      this.#server.once('error', refused);
      this.#server.listen(port, host, () => {
        this.#server.off('error', refused);
        // Too many open files, for example: the connection is lost, the listener is not.
        this.#server.on('error', () => undefined);
        resolve();
      });
    });
    const { address, port: bound } = this.#server.address() as AddressInfo;
    return `http://${authorityOf(address, bound)}`;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #answer({ method, url }: IncomingMessage, response: ServerResponse): void {
    if (method !== 'GET' && method !== 'HEAD') {
      send(response, 405, { error: 'only GET is answered here' });
      return;
    }
    const status = this.#status();
    switch (url?.split('?')[0]) {
      case '/healthz':
        send(response, 200, { state: status.state });
        return;
      case '/readyz': {
        const reasons = reasonsNotReady(status);
        send(response, reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
        return;
      }
      case '/status':
        send(response, 200, status);
        return;
      case '/metrics':
        this.#metrics().then(
          (text) => {
            response.writeHead(200, { 'content-type': prometheusContentType, 'cache-control': 'no-store' });
            response.end(text);
          },
          (cause: unknown) => send(response, 500, { error: cause instanceof Error ? cause.message : String(cause) }),
        );
        return;
      default:
        send(response, 404, { error: 'there are /healthz, /readyz, /status and /metrics' });
    }
  }
}

/** What keeps the pipeline from doing its work, a sentence each; empty: it is ready. */
export function reasonsNotReady({ state, sources, buffers, sinks }: PipelineStatus): string[] {
  const because = (reason: string | undefined): string => (reason === undefined ? '' : `: ${reason}`);
  return [
    ...(state === 'running' ? [] : [`the pipeline is ${state}`]),
    ...sources
      .filter((source) => source.state === 'starting' || source.state === 'waiting')
      .map((source) => `source ${source.id} is not running${because(source.reason)}`),
    ...buffers
      .filter((buffer) => buffer.state !== 'open')
      .map((buffer) => `buffer ${buffer.id} is ${buffer.state}${because(buffer.reason)}`),
    // A sink that retries is doing its work; one that is blocked needs somebody.
    ...sinks
      .filter((sink) => sink.state !== 'running' && sink.state !== 'retrying')
      .map((sink) => `sink ${sink.id} is ${sink.state}${because(sink.reason)}`),
  ];
}

function authorityOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenError(authority: string, cause: Error): StorageError {
  return new StorageError({
    kind: 'denied',
    operation: 'listen',
    path: authority,
    message:
      `Cannot answer health on ${authority} (${cause.message}). Nothing was taken from any source. End what uses the ` +
      'address, or give `health.address` another',
    cause,
  });
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}
