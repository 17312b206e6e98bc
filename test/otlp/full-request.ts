// One request per signal that has everything: small enough to be cut at every byte and flipped at every bit.
import type {
  AnyValue,
  KeyValue,
  LogsRequest,
  MetricsRequest,
  RequestOf,
  TracesRequest,
} from '../../src/otlp/request.ts';

const deep: AnyValue = {
  kvlistValue: {
    values: [
      { key: 'list', value: { arrayValue: { values: [{ intValue: '-1' }, {}, { boolValue: false }] } } },
      { key: 'bytes', value: { bytesValue: 'AP/+' } },
      { key: 'ratio', value: { doubleValue: 0.25 } },
    ],
  },
};
const attributes: readonly KeyValue[] = [
  { key: 'name', value: { stringValue: 'sümmer' } },
  { key: 'deep', value: deep },
  { key: 'no value' },
];
const resource = {
  attributes,
  droppedAttributesCount: 1,
  entityRefs: [{ schemaUrl: 'https://s', type: 'service', idKeys: ['name'], descriptionKeys: ['a', 'b'] }],
};
const scope = { name: 'scope', version: '1', attributes: [{ key: 'k', value: { stringValue: '' } }] };
const traceId = '5b8efff798038103d269b633813fc60c';
const spanId = 'eee19b7ec3c1b174';
const time = '1544712660300000001';

const logs: LogsRequest = {
  resourceLogs: [
    {
      resource,
      scopeLogs: [
        {
          scope,
          logRecords: [
            {
              timeUnixNano: time,
              observedTimeUnixNano: '18446744073709551615',
              severityNumber: 17,
              severityText: 'ERROR',
              body: deep,
              attributes,
              droppedAttributesCount: 300,
              flags: 1,
              traceId,
              spanId,
              eventName: 'failed',
            },
            { body: { stringValue: '' } },
          ],
          schemaUrl: 'https://scope',
        },
        { logRecords: [{}] },
      ],
      schemaUrl: 'https://resource',
    },
    { scopeLogs: [{ scope: { name: 'empty' } }] },
  ],
};

const traces: TracesRequest = {
  resourceSpans: [
    {
      resource,
      scopeSpans: [
        {
          scope,
          spans: [
            {
              traceId,
              spanId,
              traceState: 'a=b',
              parentSpanId: spanId,
              flags: 257,
              name: 'GET /',
              kind: 2,
              startTimeUnixNano: time,
              endTimeUnixNano: time,
              attributes,
              droppedAttributesCount: 1,
              events: [{ timeUnixNano: time, name: 'e', attributes, droppedAttributesCount: 2 }, {}],
              droppedEventsCount: 3,
              links: [{ traceId, spanId, traceState: 'c=d', attributes, droppedAttributesCount: 4, flags: 1 }],
              droppedLinksCount: 5,
              status: { message: 'no', code: 2 },
            },
            { name: 'second' },
          ],
        },
      ],
    },
  ],
};

const exemplars = [
  { filteredAttributes: [{ key: 'k', value: { intValue: '9' } }], timeUnixNano: time, asInt: '-5', spanId, traceId },
  { asDouble: 0 },
];
const point = { startTimeUnixNano: time, timeUnixNano: time, flags: 1 };

const metrics: MetricsRequest = {
  resourceMetrics: [
    {
      resource: { attributes: [{ key: 'k', value: { intValue: '9223372036854775807' } }] },
      scopeMetrics: [
        {
          scope,
          metrics: [
            { name: 'g', unit: '1', gauge: { dataPoints: [{ ...point, asInt: '-9223372036854775808', exemplars }] } },
            {
              name: 's',
              description: 'd',
              metadata: [{ key: 'm', value: { boolValue: true } }],
              sum: {
                dataPoints: [{ ...point, attributes, asDouble: 'NaN' }, { asInt: '0' }],
                aggregationTemporality: 2,
                isMonotonic: true,
              },
            },
            {
              name: 'h',
              histogram: {
                dataPoints: [
                  {
                    ...point,
                    count: '3',
                    sum: 0,
                    bucketCounts: ['1', '0', '2'],
                    explicitBounds: [-1.5, 0],
                    exemplars,
                    min: -2,
                    max: 'Infinity',
                  },
                ],
                aggregationTemporality: 1,
              },
            },
            {
              name: 'e',
              exponentialHistogram: {
                dataPoints: [
                  {
                    ...point,
                    count: '300',
                    sum: 1.5,
                    scale: -3,
                    zeroCount: '1',
                    positive: { offset: -7, bucketCounts: ['0', '300', '18446744073709551615'] },
                    negative: { offset: 2 },
                    min: 0,
                    max: 9,
                    zeroThreshold: 0.001,
                    exemplars,
                  },
                ],
                aggregationTemporality: 2,
              },
            },
            {
              name: 'q',
              summary: {
                dataPoints: [
                  {
                    ...point,
                    count: '2',
                    sum: 3,
                    quantileValues: [
                      { quantile: 0.5, value: 1 },
                      { quantile: 1, value: 2 },
                    ],
                  },
                ],
              },
            },
            { name: 'no data' },
            { name: 'no points', gauge: {} },
          ],
        },
      ],
    },
  ],
};

export const fullRequests: RequestOf = { logs, traces, metrics };
export const fullRequestEvents = { logs: 3, traces: 2, metrics: 6 } as const;
