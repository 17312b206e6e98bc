// Arbitrary requests in the shape of OTLP/JSON, of every field in the table: nothing set, everything set, and between.
//
// They are canonical, as decodeRequest gives them: 64-bit integers as text, no field that holds its default unless its
// presence says something.
import fc from 'fast-check';
import { type Field, type Message, requestOf } from '../../src/otlp/schema.ts';
import type { Signal } from '../../src/otlp/signal.ts';

type Plain = Record<string, unknown>;

/** How many AnyValues inside each other. */
const nesting = 3;

export function arbitraryRequest(signal: Signal): fc.Arbitrary<Plain> {
  return arbitraryMessage(requestOf[signal], nesting, '');
}

/** Like arbitraryRequest, with fields on all its envelopes and events that schema.ts does not know. */
export function arbitraryFutureRequest(signal: Signal): fc.Arbitrary<Plain> {
  return arbitraryMessage(requestOf[signal], 1, 'future');
}

const withFuture =
  /Request$|^(?:Resource|Scope)(?:Logs|Spans|Metrics)$|Histogram$|Point$|^(?:LogRecord|Span|Metric|Gauge|Sum|Summary)$/;

function arbitraryMessage(message: Message, deeper: number, unknown: string): fc.Arbitrary<Plain> {
  const always = message.fields.filter((field) => !field.choice);
  const choice = message.fields.filter((field) => field.choice && (deeper > 0 || field.message === undefined));
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of always) model[field.name] = fc.option(arbitraryField(field, deeper, unknown), { nil: undefined });
  const options = choice.map((field) =>
    arbitraryField(field, deeper, unknown).map((value) => ({ [field.name]: value })),
  );
  const chosen: fc.Arbitrary<Plain> = choice.length === 0 ? fc.constant({}) : fc.oneof(fc.constant({}), ...options);
  if (unknown !== '' && withFuture.test(message.name))
    model[unknown] = fc.option(fc.string({ minLength: 1 }), { nil: undefined });
  return fc.tuple(fc.record(model), chosen).map(([members, member]) => definedOnly({ ...members, ...member }));
}

/** A repeated field without elements is not there. */
function definedOnly(value: Plain): Plain {
  const entries = Object.entries(value).filter(
    ([, member]) => member !== undefined && !(Array.isArray(member) && member.length === 0),
  );
  return Object.fromEntries(entries);
}

function arbitraryField(field: Field, deeper: number, unknown: string): fc.Arbitrary<unknown> {
  const { message, repeated } = field;
  if (message === undefined) {
    const explicit = repeated || field.explicit;
    return repeated ? fc.array(arbitraryScalar(field, true), { maxLength: 4 }) : arbitraryScalar(field, explicit);
  }
  const below = /^(?:ArrayValue|KeyValueList)$/.test(message.name) ? deeper - 1 : deeper;
  const inner = fc.memo(() => arbitraryMessage(message, below, unknown))();
  return repeated ? fc.array(inner, { maxLength: 3, size: 'max' }) : inner;
}

function arbitraryScalar(field: Field, withDefault: boolean): fc.Arbitrary<unknown> {
  const integer = (low: bigint, high: bigint): fc.Arbitrary<bigint> =>
    fc.oneof(fc.bigInt(low, high), fc.bigInt(low > -300n ? low : -300n, 300n), fc.constantFrom(low, high));
  const kept = <Value>(values: fc.Arbitrary<Value>, isDefault: (value: Value) => boolean): fc.Arbitrary<Value> =>
    withDefault ? values : values.filter((value) => !isDefault(value));
  const words = (low: bigint, high: bigint): fc.Arbitrary<string> =>
    kept(integer(low, high), (value) => value === 0n).map(String);
  const numbers = (low: bigint, high: bigint): fc.Arbitrary<number> =>
    kept(integer(low, high), (value) => value === 0n).map(Number);
  switch (field.kind) {
    case 'string':
      return kept(fc.string({ unit: 'grapheme', maxLength: 60 }), (value) => value === '');
    case 'bytes':
      return kept(fc.uint8Array({ maxLength: 20 }), (value) => value.length === 0).map(base64);
    case 'traceId':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map(hex);
    case 'spanId':
      return fc.uint8Array({ minLength: 8, maxLength: 8 }).map(hex);
    case 'bool':
      return withDefault ? fc.boolean() : fc.constant(true);
    case 'double':
      return kept(doubles, (value) => value === 0).map((value) => (Number.isFinite(value) ? value : String(value)));
    case 'int64':
    case 'sfixed64':
      return words(-(2n ** 63n), 2n ** 63n - 1n);
    case 'uint64':
    case 'fixed64':
      return words(0n, 2n ** 64n - 1n);
    case 'uint32':
    case 'fixed32':
      return numbers(0n, 2n ** 32n - 1n);
    default:
      return numbers(-(2n ** 31n), 2n ** 31n - 1n);
  }
}

// JSON has no -0.
const doubles = fc.oneof(
  { weight: 4, arbitrary: fc.double().filter((value) => !Object.is(value, -0)) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0) },
);

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
