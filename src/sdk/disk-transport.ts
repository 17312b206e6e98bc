// For exporters that are built from the official exporter base: `createOtlpNetworkExportDelegate` takes any transport,
// and this one is a buffer. It answers `success` when the buffer has accepted.

import type { Signal } from '../otlp/signal.ts';
import { Exporter } from './exporter.ts';
import type { BufferedExporterOptions } from './exporter-options.ts';
import type { ExporterTransport } from './sdk-types.ts';

export interface DiskTransportOptions extends BufferedExporterOptions {
  /** What the bytes are: protobuf requests of this signal. */
  readonly signal: Signal;
}

export function diskTransport({ signal, ...options }: DiskTransportOptions): ExporterTransport {
  const exporter = new Exporter(signal, options);
  return {
    send: (data) =>
      exporter.send(data).then(
        () => ({ status: 'success' }),
        (cause: unknown) => ({ status: 'failure', error: cause instanceof Error ? cause : new Error(String(cause)) }),
      ),
    // The base waits for no end of a transport. What could not be committed was not answered with success either.
    shutdown: () => void exporter.shutdown().catch(() => undefined),
  };
}
