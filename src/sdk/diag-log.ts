// What the exporters have to say goes to the OpenTelemetry API's diagnostics, where an application expects it from an
// exporter: silent until the application sets a logger.

import type { Log, LogFields } from '../pipeline/contract/log.ts';
import type { Api } from './optional-peers.ts';

export class DiagLog implements Log {
  readonly #diag: Api['diag'];
  readonly #fields: LogFields;

  constructor(diag: Api['diag'], fields: LogFields = {}) {
    this.#diag = diag;
    this.#fields = fields;
  }

  debug(message: string, fields?: LogFields): void {
    this.#say('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#say('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#say('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#say('error', message, fields);
  }

  child(fields: LogFields): Log {
    return new DiagLog(this.#diag, { ...this.#fields, ...fields });
  }

  #say(level: keyof Api['diag'], message: string, fields: LogFields = {}): void {
    this.#diag[level](`spillway: ${message}`, { ...this.#fields, ...fields });
  }
}
