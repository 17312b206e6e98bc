// A log record as a message of RFC 5424, in a frame that tells its length in bytes (RFC 5425, 4.3; RFC 6587, 3.4.1).
//
//   123 <14>1 2026-01-02T03:04:05.678901Z host app 4711 - [spillway@32473 key="..."] text

import { attributeText, type LogRecord, type TelemetryEvent, type Template } from 'spillway/plugin';
import { valueText } from './any-value.ts';
import { severityOf } from './priority.ts';
import { type StructuredDataFormat, structuredData } from './structured-data.ts';
import { cutToBytes, headerField, withoutControls } from './text.ts';

export interface MessageFormat extends StructuredDataFormat {
  readonly facility: number;
  /** Undefined: what OpenTelemetry's conventions name. */
  readonly hostname: Template | undefined;
  readonly appName: Template | undefined;
  readonly processId: Template | undefined;
  readonly messageId: Template | undefined;
  /** Whether a byte order mark stands before a text, as RFC 5424 asks of UTF-8. */
  readonly hasMark: boolean;
  /** Of a message, without its frame. At least {@link messageBytesLeast}. */
  readonly messageBytesMax: number;
  readonly tooLong: 'truncate' | 'reject';
}

/** Header and element of the event always fit into this. */
export const messageBytesLeast = 2048;

/** What two elements take beside their parameters. */
const elementBytesMax = 64;

const byteOrderMark = '\u{feff}';

/** The frame with its message, or how long the message is where that is too much and it may not be cut. */
export type Framed = { readonly frame: string } | { readonly tooLongBytes: number };

export function framedMessage(event: TelemetryEvent, key: string | undefined, format: MessageFormat): Framed {
  const header = headerOf(event, format);
  const text = messageText(event.event as LogRecord, format);
  const message = `${header} ${structuredData(event, key, format)}${text}`;
  const bytes = Buffer.byteLength(message);
  if (bytes <= format.messageBytesMax) return { frame: `${bytes} ${message}` };
  if (format.tooLong === 'reject') return { tooLongBytes: bytes };
  return { frame: frameOf(cutMessage(event, key, format, header, text)) };
}

function frameOf(message: string): string {
  return `${Buffer.byteLength(message)} ${message}`;
}

/** Attributes get half of the room, in their order, and the text gets what is left of all of it. */
function cutMessage(
  event: TelemetryEvent,
  key: string | undefined,
  format: MessageFormat,
  header: string,
  text: string,
): string {
  const messageBytes = Buffer.byteLength(text) - Buffer.byteLength(textStart(text));
  const bare = `${header} ${structuredData(event, key, format, { parameterBytesMax: 0, messageBytes })}`;
  const room = format.messageBytesMax - Buffer.byteLength(bare) - elementBytesMax;
  const parameterBytesMax = Math.max(0, Math.min(room, Math.floor(format.messageBytesMax / 2)));
  const withText = `${header} ${structuredData(event, key, format, { parameterBytesMax })}`;
  if (Buffer.byteLength(withText) + Buffer.byteLength(text) <= format.messageBytesMax) return withText + text;
  const start = `${header} ${structuredData(event, key, format, { parameterBytesMax, messageBytes })}`;
  return start + cutToBytes(text, format.messageBytesMax - Buffer.byteLength(start));
}

/** What stands before the message's own words. */
function textStart(text: string): string {
  if (text === '') return '';
  return text.startsWith(byteOrderMark, 1) ? ` ${byteOrderMark}` : ' ';
}

function headerOf(event: TelemetryEvent, format: MessageFormat): string {
  const log = event.event as LogRecord;
  const { attributes } = event.resource;
  const field = (template: Template | undefined, usual: string | undefined, charactersMax: number): string =>
    headerField(template === undefined ? usual : template.render({ signal: 'logs', event }), charactersMax);
  const host = field(format.hostname, attributeText(attributes, 'host.name'), 255);
  const application = field(format.appName, attributeText(attributes, 'service.name'), 48);
  const process = field(format.processId, attributeText(attributes, 'process.pid'), 128);
  const id = field(format.messageId, log.eventName, 32);
  const priority = format.facility * 8 + severityOf(log.severityNumber);
  return `<${priority}>1 ${timestampOf(log)} ${host} ${application} ${process} ${id}`;
}

/** With microseconds, which is all that the format has; what is beyond them is cut off. */
export function timestampOf({ timeUnixNano, observedTimeUnixNano }: LogRecord): string {
  const nanoseconds = [timeUnixNano, observedTimeUnixNano]
    .map((time) => String(time ?? 0))
    .find((time) => time !== '0');
  if (nanoseconds === undefined || !/^\d{1,20}$/.test(nanoseconds)) return '-';
  const digits = nanoseconds.padStart(10, '0');
  const seconds = new Date(Number(digits.slice(0, -9)) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${digits.slice(-9, -3)}Z`;
}

/** With the space before it; nothing where there is no body. */
function messageText({ body }: LogRecord, { hasMark, controls }: MessageFormat): string {
  const value = valueText(body);
  if (value === undefined || value.text === '') return '';
  if (value.isJson) return ` ${value.text}`; // Its controls are escaped already.
  return ` ${hasMark ? byteOrderMark : ''}${withoutControls(value.text, controls)}`;
}
