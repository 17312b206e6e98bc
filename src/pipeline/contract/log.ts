// Where a pipeline and its plugins say what happens. Structured: a sentence, and the facts beside it.

export type LogFields = Readonly<Record<string, unknown>>;

/** A fact never holds a secret: whoever logs an option logs its name. `error` fields may hold an Error. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines carry these fields, too. */
  child(fields: LogFields): Log;
}

/** Says nothing. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
