// The packages of OpenTelemetry that the application brings. They are loaded when an exporter is made, so that this
// entry point can be imported without them, and a missing one is one line that says what to install.
//
// By `require`, because a constructor cannot wait. The CommonJS copy of the API shares its state with the other copy
// through a global symbol; the transformer has none.

import { createRequire } from 'node:module';
import { UsageError } from '../base/errors.ts';
import type { Signal } from '../otlp/signal.ts';

const load = createRequire(import.meta.url);

interface Serializer {
  serializeRequest(items: unknown): Uint8Array | undefined;
}

type Transformer = Readonly<Record<`Protobuf${'Logs' | 'Trace' | 'Metrics'}Serializer`, Serializer>>;

/** The part of the OpenTelemetry API that is used here. */
export interface Api {
  readonly context: {
    active(): ApiContext;
    with<Result>(context: ApiContext, work: () => Result): Result;
  };
  readonly diag: Readonly<Record<'debug' | 'info' | 'warn' | 'error', (message: string, ...rest: unknown[]) => void>>;
  createContextKey(description: string): symbol;
}

interface ApiContext {
  setValue(key: symbol, value: unknown): ApiContext;
}

/** Throws a UsageError that names the package to install. */
export function loadPeer<Module>(name: string, need: string): Module {
  try {
    return load(name) as Module;
  } catch (cause) {
    // Only the package itself: one that is there and broken says so in its own words.
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'MODULE_NOT_FOUND';
    if (!isMissing || !cause.message.includes(`'${name}'`)) throw cause;
    throw missingPeer(name, need, cause);
  }
}

/** A package that `neighbour` depends on, as `neighbour` would find it. */
export function loadBeside<Module>(neighbour: string, name: string): Module {
  return createRequire(load.resolve(neighbour))(name) as Module;
}

function missingPeer(name: string, need: string, cause: unknown): UsageError {
  return new UsageError({
    code: 'SPILLWAY_USAGE_PEER',
    message: `${need} needs ${name}, which is not installed: npm i ${name}`,
    cause,
  });
}

export function loadApi(): Api {
  return loadPeer<Api>('@opentelemetry/api', 'spillway/opentelemetry');
}

/** The official transformer from the SDK's items to the bytes of a request. */
export function loadSerializer(signal: Signal): (items: unknown) => Uint8Array | undefined {
  const transformer = loadPeer<Transformer>('@opentelemetry/otlp-transformer', 'spillway/opentelemetry');
  const serializer = serializers[signal](transformer);
  return (items) => serializer.serializeRequest(items);
}

const serializers: Readonly<Record<Signal, (transformer: Transformer) => Serializer>> = {
  logs: ({ ProtobufLogsSerializer }) => ProtobufLogsSerializer,
  traces: ({ ProtobufTraceSerializer }) => ProtobufTraceSerializer,
  metrics: ({ ProtobufMetricsSerializer }) => ProtobufMetricsSerializer,
};
