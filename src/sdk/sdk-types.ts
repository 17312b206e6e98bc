// What the SDK and an exporter say to each other, by shape. No type of an optional package may appear in what this
// entry point exports: it has to compile where none is installed, and with each major version of the SDK.

/** `code`: 0 success, 1 failure. */
export interface ExportResult {
  readonly code: 0 | 1;
  readonly error?: Error;
}

export type ResultCallback = (result: ExportResult) => void;

export const exportSucceeded: ExportResult = { code: 0 };

export function exportFailed(cause: unknown): ExportResult {
  return { code: 1, error: cause instanceof Error ? cause : new Error(String(cause)) };
}

/** What `createOtlpNetworkExportDelegate` asks of a transport. */
export interface ExporterTransport {
  send(data: Uint8Array, timeoutMillis: number): Promise<TransportResponse>;
  shutdown(): void;
}

export type TransportResponse =
  | { readonly status: 'success'; readonly data?: Uint8Array }
  | { readonly status: 'failure'; readonly error: Error };
