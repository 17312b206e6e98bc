// The log of a running pipeline, by pino: JSON lines for machines, aligned lines for a person at a terminal.

import pino from 'pino';
import { MiB } from '../base/units.ts';
import type { Log, LogFields } from '../pipeline/contract/log.ts';
import { type Output, type Style, styled } from './terminal.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'text';
  readonly output: Output;
}

/** A reader that stands still must not cost memory without end: further lines are dropped, and counted. */
const waitingBytesMax = 4 * MiB;

export function createLog({ level, format, output }: LogOptions): Log {
  let dropped = 0;
  const write = (line: string): void => {
    if (output.waitingBytes > waitingBytesMax) {
      dropped += 1;
      return;
    }
    const lines = dropped;
    dropped = 0;
    if (lines > 0) logger.warn({ lines }, 'lines of this log were dropped: its reader had not taken those before them');
    output.write(format === 'json' ? line : readable(line, output));
  };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    { write },
  );
  return new PinoLog(logger);
}

class PinoLog implements Log {
  readonly #logger: pino.Logger;

  constructor(logger: pino.Logger) {
    this.#logger = logger;
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#logger.debug(fields, message);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#logger.info(fields, message);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#logger.warn(fields, message);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#logger.error(fields, message);
  }

  child(fields: LogFields): Log {
    return new PinoLog(this.#logger.child(fields));
  }
}

const styleOfLevel: Readonly<Record<string, Style>> = { debug: 'dim', info: 'green', warn: 'yellow', error: 'red' };

/** `12:04:07.318 warn  sink archive: the sink is blocked  reason="401 Unauthorized"` */
function readable(line: string, output: Output): string {
  const { level, time, msg, source, buffer, sink, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const label = String(level);
  const subjects = Object.entries({ source, buffer, sink }).filter(([, id]) => id !== undefined);
  const subject = subjects.map(([kind, id]) => `${kind} ${String(id)}: `).join('');
  const details = Object.entries(fields).map(([name, value]) => `${name}=${fieldText(value)}`);
  const moment = styled(output, 'dim', String(time).slice(11, 23));
  const mark = styled(output, styleOfLevel[label] ?? 'dim', label.padEnd(5));
  const facts = details.length > 0 ? styled(output, 'dim', `  ${details.join(' ')}`) : '';
  return `${moment} ${mark} ${subject}${String(msg)}${facts}\n`;
}

function fieldText(value: unknown): string {
  // An error in a field: what it says is what helps; the stack is in the JSON.
  if (typeof value === 'object' && value !== null && 'message' in value) return JSON.stringify(value.message);
  return JSON.stringify(value);
}
