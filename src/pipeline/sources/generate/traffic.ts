// A made-up shop: requests that run through several services, with the spans, log lines and measurements they leave.
//
// A request enters at the first service and calls others, some of which ask a database. Times are log-normal, so that a
// few requests are slow; some fail, and a failure mostly reaches the caller. Log lines carry the ids of the span they
// belong to. Counters and histograms are cumulative over the run and only grow.
//
// Events come out without their number: who sends them numbers them (generated-request.ts).

import { type Attribute, nanosecondsOf, number, text } from './otlp-values.ts';
import { SeededDraws } from './seeded-draws.ts';

/** An OTLP event as JSON has it, and the service it comes from. */
export interface MadeEvent {
  readonly service: number;
  /** Of a data point: the place of its metric among {@link metricKinds}. */
  readonly metric?: number;
  readonly fields: Readonly<Record<string, unknown>> & { readonly attributes: readonly Attribute[] };
}

interface Call {
  readonly service: number;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly Attribute[];
  readonly offsetMs: number;
  readonly durationMs: number;
  readonly isFailed: boolean;
  readonly calls: readonly Call[];
}

interface Measurements {
  requests: number;
  failures: number;
  memoryBytes: number;
  durationSumSecs: number;
  readonly bucketCounts: number[];
}

export const durationBoundsSecs: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** The metrics of every service, in the order in which they are measured. */
export const metricKinds = ['requests', 'failures', 'duration', 'memory'] as const;

const spanKinds = { server: 2, client: 3 } as const;
const depthMax = 3;
const routes = ['GET /', 'GET /product/{id}', 'POST /cart', 'POST /checkout', 'GET /search'] as const;
const actions = ['Get', 'List', 'Update', 'Reserve'] as const;
const statements = ['SELECT', 'INSERT', 'UPDATE'] as const;
const failures = ['connection reset by peer', 'deadline exceeded', 'no such row', 'out of stock'] as const;
const slowMs = 250;
const cumulative = 2;

export class Traffic {
  readonly #draws: SeededDraws;
  readonly #services: readonly string[];
  readonly #startNs: string;
  readonly #measured: Measurements[];
  #measuredNext = 0;
  spans: MadeEvent[] = [];
  logs: MadeEvent[] = [];

  constructor(given: { readonly seed: string; readonly services: readonly string[]; readonly startMs: number }) {
    this.#draws = new SeededDraws(given.seed);
    this.#services = given.services;
    this.#startNs = nanosecondsOf(given.startMs);
    this.#measured = given.services.map(() => ({
      requests: 0,
      failures: 0,
      memoryBytes: 64 * 2 ** 20 + this.#draws.int(64 * 2 ** 20),
      durationSumSecs: 0,
      bucketCounts: new Array<number>(durationBoundsSecs.length + 1).fill(0),
    }));
  }

  /** One more request that has just ended: adds to `spans`, `logs` and what `point` measures. */
  request(nowMs: number): void {
    const root = this.#call({ service: 0, depth: 0, offsetMs: 0 });
    const traceId = this.#draws.id(4);
    const startMs = nowMs - root.durationMs - this.#draws.fraction() * 50;
    this.#leave(root, { traceId, parentSpanId: undefined, startMs });
  }

  /** The next of the measurements, round all metrics of all services. */
  point(nowMs: number): MadeEvent {
    const metric = this.#measuredNext % metricKinds.length;
    const service = Math.floor(this.#measuredNext / metricKinds.length) % this.#services.length;
    this.#measuredNext += 1;
    const measured = this.#measured[service] as Measurements;
    const times = { startTimeUnixNano: this.#startNs, timeUnixNano: nanosecondsOf(nowMs) };
    const attributes: Attribute[] = [];
    switch (metricKinds[metric]) {
      case 'requests':
        return { service, metric, fields: { ...times, attributes, asInt: String(measured.requests) } };
      case 'failures':
        return { service, metric, fields: { ...times, attributes, asInt: String(measured.failures) } };
      case 'duration':
        return { service, metric, fields: { ...times, attributes, ...histogramOf(measured) } };
      default: {
        const drift = 1 + (this.#draws.fraction() - 0.5) / 50;
        measured.memoryBytes = Math.round(Math.min(2 ** 30, Math.max(2 ** 25, measured.memoryBytes * drift)));
        return { service, metric, fields: { ...times, attributes, asInt: String(measured.memoryBytes) } };
      }
    }
  }

  #call({ service, depth, offsetMs }: { service: number; depth: number; offsetMs: number }): Call {
    const draws = this.#draws;
    const ownMs = draws.logNormal({ median: 6, sigma: 0.8 });
    const calls: Call[] = [];
    let atMs = offsetMs + ownMs / 2;
    const follow = (call: Call): void => {
      calls.push(call);
      atMs = call.offsetMs + call.durationMs + 0.05;
    };
    const others = this.#services.length - 1 - service;
    for (let left = depth < depthMax && others > 0 ? draws.int(3) : 0; left > 0; left--) {
      follow(this.#remote({ service, callee: service + 1 + draws.int(others), depth, offsetMs: atMs }));
    }
    if (depth > 0 && draws.chance(0.6)) follow(this.#query(service, atMs));
    const isFailed = draws.chance(0.004) || (calls.some((call) => call.isFailed) && draws.chance(0.7));
    const route = depth === 0 ? draws.pick(routes) : `${this.#services[service]}/${draws.pick(actions)}`;
    const status = isFailed ? 500 : draws.chance(0.01) ? 404 : 200;
    const [method, path] = depth === 0 ? (route.split(' ') as [string, string]) : ['POST', `/${route}`];
    const durationMs = atMs - offsetMs + ownMs / 2;
    const attributes = [
      text('http.request.method', method),
      text('http.route', path),
      number('http.response.status_code', status),
    ];
    return { service, name: route, kind: spanKinds.server, attributes, offsetMs, durationMs, isFailed, calls };
  }

  #remote(given: { service: number; callee: number; depth: number; offsetMs: number }): Call {
    const networkMs = this.#draws.logNormal({ median: 0.4, sigma: 0.5 });
    const { service, callee, depth, offsetMs } = given;
    const answer = this.#call({ service: callee, depth: depth + 1, offsetMs: offsetMs + networkMs });
    return {
      service,
      name: answer.name,
      kind: spanKinds.client,
      attributes: [text('server.address', this.#services[callee] ?? ''), text('network.protocol.name', 'http')],
      offsetMs,
      durationMs: answer.durationMs + 2 * networkMs,
      isFailed: answer.isFailed,
      calls: [answer],
    };
  }

  #query(service: number, offsetMs: number): Call {
    const statement = this.#draws.pick(statements);
    return {
      service,
      name: `${statement} ${this.#services[service]}`,
      kind: spanKinds.client,
      attributes: [text('db.system.name', 'postgresql'), text('db.operation.name', statement)],
      offsetMs,
      durationMs: this.#draws.logNormal({ median: 1.5, sigma: 1 }),
      isFailed: this.#draws.chance(0.008),
      calls: [],
    };
  }

  #leave(
    call: Call,
    { traceId, parentSpanId, startMs }: { traceId: string; parentSpanId: string | undefined; startMs: number },
  ): void {
    const spanId = this.#draws.id(2);
    const beganMs = startMs + call.offsetMs;
    const endedMs = beganMs + call.durationMs;
    const { service } = call;
    this.spans.push({
      service,
      fields: {
        traceId,
        spanId,
        ...(parentSpanId === undefined ? {} : { parentSpanId }),
        name: call.name,
        kind: call.kind,
        startTimeUnixNano: nanosecondsOf(beganMs),
        endTimeUnixNano: nanosecondsOf(endedMs),
        attributes: call.attributes,
        status: call.isFailed ? { code: 2, message: this.#draws.pick(failures) } : {},
      },
    });
    if (call.kind === spanKinds.server) this.#measure(call);
    this.#log(call, { traceId, spanId, endedMs });
    for (const each of call.calls) this.#leave(each, { traceId, parentSpanId: spanId, startMs });
  }

  #log(call: Call, { traceId, spanId, endedMs }: { traceId: string; spanId: string; endedMs: number }): void {
    const took = `${call.durationMs.toFixed(1)} ms`;
    const say = (severityNumber: number, severityText: string, message: string): void => {
      const timeUnixNano = nanosecondsOf(endedMs);
      const body = { stringValue: message };
      const { attributes } = call;
      const fields = { timeUnixNano, observedTimeUnixNano: timeUnixNano, severityNumber, severityText, body };
      this.logs.push({ service: call.service, fields: { ...fields, attributes, traceId, spanId, flags: 1 } });
    };
    if (call.isFailed) say(17, 'ERROR', `${call.name} failed after ${took}: ${this.#draws.pick(failures)}`);
    else if (call.durationMs > slowMs) say(13, 'WARN', `${call.name} was slow: ${took}`);
    else if (call.kind === spanKinds.server) say(9, 'INFO', `${call.name} answered in ${took}`);
    else if (this.#draws.chance(0.3)) say(5, 'DEBUG', `${call.name} took ${took}`);
  }

  #measure({ service, durationMs, isFailed }: Call): void {
    const measured = this.#measured[service] as Measurements;
    measured.requests += 1;
    if (isFailed) measured.failures += 1;
    measured.durationSumSecs += durationMs / 1000;
    const bucket = durationBoundsSecs.findIndex((bound) => durationMs / 1000 <= bound);
    const place = bucket === -1 ? durationBoundsSecs.length : bucket;
    measured.bucketCounts[place] = (measured.bucketCounts[place] ?? 0) + 1;
  }
}

function histogramOf({ requests, durationSumSecs, bucketCounts }: Measurements): Record<string, unknown> {
  return {
    count: String(requests),
    sum: durationSumSecs,
    bucketCounts: bucketCounts.map(String),
    explicitBounds: durationBoundsSecs,
  };
}

/** The metric that data points of this kind belong to, as OTLP has it. */
export function metricOf(kind: number, dataPoints: readonly unknown[]): Record<string, unknown> {
  const sum = { aggregationTemporality: cumulative, isMonotonic: true, dataPoints };
  switch (metricKinds[kind]) {
    case 'requests':
      return { name: 'http.server.requests', unit: '{request}', sum };
    case 'failures':
      return { name: 'http.server.failures', unit: '{request}', sum };
    case 'duration': {
      const histogram = { aggregationTemporality: cumulative, dataPoints };
      return { name: 'http.server.request.duration', unit: 's', histogram };
    }
    default:
      return { name: 'process.memory.usage', unit: 'By', gauge: { dataPoints } };
  }
}
