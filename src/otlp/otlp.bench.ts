// Figures of OTLP as bytes: npm run bench -- otlp/otlp [--repeat 5]
// One request of log records as a service sends them (some 170 bytes each, two attributes, ids), in turns.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from '../../test/bench/machine.ts';
import { parseBenchOptions } from '../../test/bench/options.ts';
import { type Case, measureInTurns } from '../../test/bench/repetitions.ts';
import { calibrationCells, calibrationHeader, figure, forTerminal } from '../../test/bench/report.ts';
import { splitEvents } from '../../test/otlp/split-events.ts';
import { KiB } from '../base/units.ts';
import { checkRequest } from './check.ts';
import { concatenate } from './concatenate.ts';
import { countEvents } from './count.ts';
import { decodeRequest } from './decode.ts';
import { encodeRequest } from './encode.ts';
import { jsonToRequest, requestToJson } from './json.ts';
import { encodeLogLines } from './log-lines.ts';
import type { LogRecord } from './request.ts';
import { SingleEvents } from './single-events.ts';
import { splitAt, splitToSize } from './split.ts';

const options = parseBenchOptions(process.argv.slice(2));
const events = options.smoke ? 10 : 5_000;
const rounds = options.smoke ? 1 : 20;

function recordOf(index: number): LogRecord {
  return {
    timeUnixNano: String(1_790_000_000_000_000_000n + BigInt(index) * 1_234_567n),
    severityNumber: 9,
    severityText: 'INFO',
    body: { stringValue: `GET /api/orders/${index} answered 200 in ${index % 97} ms, 1532 bytes` },
    attributes: [
      { key: 'http.route', value: { stringValue: '/api/orders/{id}' } },
      { key: 'http.response.status_code', value: { intValue: 200 } },
    ],
    traceId: '5b8efff798038103d269b633813fc60c',
    spanId: 'eee19b7ec3c1b174',
  };
}

const attributes = [{ key: 'service.name', value: { stringValue: 'orders' } }];
const logRecords = Array.from({ length: events }, (_, index) => recordOf(index));
const request = { resourceLogs: [{ resource: { attributes }, scopeLogs: [{ scope: { name: 'http' }, logRecords }] }] };
const bytes = encodeRequest('logs', request);
const json = requestToJson('logs', bytes) ?? '';
const lines = logRecords.map(({ body }, index) => ({
  body: body?.stringValue ?? '',
  observedMs: 1_790_000_000_000 + index,
  attributes: { 'log.file.path': '/var/log/orders.log', 'log.file.offset': index * 80 },
}));

let sink = 0;

/** Nanoseconds an event. */
function measure(
  name: string,
  operation: () => { readonly length: number } | number | object | undefined,
): Case<number> {
  const run = async (): Promise<number> => {
    const start = performance.now();
    for (let round = 0; round < rounds; round += 1) sink += operation() === undefined ? 1 : 0;
    return ((performance.now() - start) * 1e6) / (rounds * events);
  };
  return { name, run, rank: (nanoseconds) => -nanoseconds };
}

function jsonOfEvents(): number {
  const single = new SingleEvents('logs', bytes);
  let length = 0;
  for (let event = 0; event < single.count; event += 1) length += Buffer.byteLength(single.json(event) ?? '');
  return length;
}

const cases = [
  measure('countEvents', () => countEvents('logs', bytes)),
  measure('checkRequest', () => checkRequest('logs', bytes)),
  measure('concatenate, two', () => concatenate([bytes, bytes])),
  measure('splitAt, half', () => splitAt('logs', bytes, events / 2)),
  measure('splitToSize, 64 KiB', () => splitToSize('logs', bytes, 64 * KiB)),
  measure('single events', () => splitEvents('logs', bytes)),
  measure('JSON of single events', () => jsonOfEvents()),
  measure('encodeLogLines', () => encodeLogLines({ resource: { 'host.name': 'a' }, lines })),
  measure('encodeRequest', () => encodeRequest('logs', request)),
  measure('decodeRequest', () => decodeRequest('logs', bytes)),
  measure('requestToJson', () => requestToJson('logs', bytes)),
  measure('jsonToRequest', () => jsonToRequest('logs', json)),
];

const scratch = mkdtempSync(join(options.directory, 'spillway-bench-'));
try {
  for (const [name, value] of describeMachine(scratch)) console.log(`${name.padEnd(12)}${value}`);
  const progress = (): void => undefined;
  const measured = await measureInTurns({ options, scratch, progress }, cases);
  const rows = measured.map(({ name, best, calibration }) => {
    const perSecond = ((bytes.length / events) * 1_000) / best;
    return [name, figure(best), figure(1e9 / best), figure(perSecond), ...calibrationCells(calibration)];
  });
  const header = ['operation', 'ns/event', 'events/s', 'MB/s of protobuf', ...calibrationHeader];
  const title = `OTLP log records, ${Math.round(bytes.length / events)} bytes each, ${events} a request`;
  console.log(forTerminal({ title, notes: [], header, rows, targets: [] }));
  if (sink > 0) throw new Error('an operation refused the request it was to measure');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
