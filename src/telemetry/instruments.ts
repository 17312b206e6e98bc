// From the table to OpenTelemetry: one instrument for each metric, one callback for each subject.
//
// Values are observed, not recorded: a callback reads them when the SDK collects, so that nothing is done while nobody
// looks. Only what has a distribution is recorded when it happens, once per group of records.

import type { Histogram, Meter, MeterProvider, Observable } from '@opentelemetry/api';
import type { Report, Subject } from './measurement.ts';
import { type Metric, metricTable } from './metric-table.ts';

const scope = 'spillway';

export class Instruments {
  readonly #meter: Meter;
  readonly #observables = new Map<string, Observable>();
  readonly #histograms = new Map<string, Histogram>();

  constructor(provider: MeterProvider) {
    this.#meter = provider.getMeter(scope);
    for (const metric of metricTable) this.#create(metric);
  }

  /** Takes a measurement of a distribution. */
  readonly record: Report = (name, value, attributes) => {
    const histogram = this.#histograms.get(name);
    if (histogram === undefined) throw new TypeError(`no histogram of the table has the name ${name}`);
    histogram.record(value, attributes);
  };

  /** Asks the subject at every collection, until the returned function is called. */
  observe(subject: Subject): () => void {
    const observables = [...this.#observables.values()];
    const callback: Parameters<Meter['addBatchObservableCallback']>[0] = (result) =>
      subject.collect((name, value, attributes) => {
        const observable = this.#observables.get(name);
        if (observable === undefined) throw new TypeError(`no metric of the table has the name ${name}`);
        result.observe(observable, value, attributes);
      });
    this.#meter.addBatchObservableCallback(callback, observables);
    return () => this.#meter.removeBatchObservableCallback(callback, observables);
  }

  #create({ name, kind, unit, description, boundaries = [] }: Metric): void {
    const options = { unit, description };
    switch (kind) {
      case 'counter':
        this.#observables.set(name, this.#meter.createObservableCounter(name, options));
        break;
      case 'updowncounter':
        this.#observables.set(name, this.#meter.createObservableUpDownCounter(name, options));
        break;
      case 'gauge':
        this.#observables.set(name, this.#meter.createObservableGauge(name, options));
        break;
      case 'histogram': {
        const advice = { explicitBucketBoundaries: [...boundaries] };
        this.#histograms.set(name, this.#meter.createHistogram(name, { ...options, advice }));
      }
    }
  }
}
