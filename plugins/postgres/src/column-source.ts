// Where the value of a column comes from: a path such as `time`, `resource.service.name` or `event.traceId`.

type KeyPart = 'key' | 'buffer' | 'epoch' | 'id' | 'signal';
type FieldName = 'time' | 'severity' | 'body' | 'attributes' | 'resource';

const keyParts: readonly KeyPart[] = ['key', 'buffer', 'epoch', 'id', 'signal'];
const fieldNames: readonly FieldName[] = ['time', 'severity', 'body', 'attributes', 'resource'];

export type ColumnSource =
  /** Known of every event without looking into it. */
  | { readonly kind: KeyPart }
  /** The event with its resource and scope, as an OTLP request. */
  | { readonly kind: 'json' }
  | FieldSource;

/** Asks for the event's fields. */
export type FieldSource =
  | { readonly kind: FieldName }
  | { readonly kind: 'resource_attribute' | 'attribute'; readonly name: string }
  /** Fields as OTLP/JSON names them. */
  | { readonly kind: 'event' | 'scope' | 'metric'; readonly path: readonly string[] };

export interface Column {
  readonly name: string;
  readonly source: ColumnSource;
  /** Its type where this sink makes the table. */
  readonly type: string;
}

/** Undefined if it names nothing. */
export function parseSource(path: string): ColumnSource | undefined {
  const kind = [...keyParts, ...fieldNames, 'json' as const].find((name) => name === path);
  if (kind !== undefined) return { kind };
  const [, first, rest = ''] = /^(resource|attribute|event|scope|metric)\.(.+)$/s.exec(path) ?? [];
  if (first === 'resource') return { kind: 'resource_attribute', name: rest };
  if (first === 'attribute') return { kind: 'attribute', name: rest };
  if (first === 'event' || first === 'scope' || first === 'metric') return { kind: first, path: rest.split('.') };
  return undefined;
}

export function defaultType({ kind }: ColumnSource): string {
  switch (kind) {
    case 'epoch':
    case 'id':
      return 'bigint';
    case 'time':
      return 'timestamptz';
    case 'json':
    case 'attributes':
    case 'resource':
      return 'jsonb';
    default:
      return 'text';
  }
}

/** Whether the event has to be decoded for it. */
export function needsFields({ kind }: ColumnSource): boolean {
  return kind !== 'json' && !keyParts.some((name) => name === kind);
}

/**
 * Whether these values together name one event and no other: then an event that comes again meets itself in a unique
 * index on them. Epoch and id alone do not, for another buffer gives the same ones.
 */
export function namesAnEvent(sources: readonly ColumnSource[]): boolean {
  const kinds = new Set(sources.map(({ kind }) => kind));
  return kinds.has('key') || (kinds.has('buffer') && kinds.has('epoch') && kinds.has('id'));
}

/** What a table holds unless the config says otherwise. */
export const defaultColumns: Readonly<Record<string, string>> = {
  key: 'key',
  epoch: 'epoch',
  id: 'id',
  signal: 'signal',
  time: 'time',
  event: 'json',
};
