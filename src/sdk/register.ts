// `spillway/opentelemetry/register`: node --import spillway/opentelemetry/register app.js

import process from 'node:process';
import { loadBeside, loadPeer } from './optional-peers.ts';
import { type NodeSdkParts, type Registration, register } from './registration.ts';

const need = 'spillway/opentelemetry/register';

/** NodeSDK brings the packages of the signals with it, and no longer names them itself. */
function nodeSdk(): NodeSdkParts {
  const name = '@opentelemetry/sdk-node';
  const { NodeSDK } = loadPeer<Pick<NodeSdkParts, 'NodeSDK'>>(name, need);
  const logs = loadBeside<Pick<NodeSdkParts, 'BatchLogRecordProcessor'>>(name, '@opentelemetry/sdk-logs');
  const metrics = loadBeside<Pick<NodeSdkParts, 'PeriodicExportingMetricReader'>>(name, '@opentelemetry/sdk-metrics');
  return {
    NodeSDK,
    BatchLogRecordProcessor: logs.BatchLogRecordProcessor,
    PeriodicExportingMetricReader: metrics.PeriodicExportingMetricReader,
  };
}

function instrumentations(): readonly unknown[] {
  try {
    const name = '@opentelemetry/auto-instrumentations-node';
    return loadPeer<{ getNodeAutoInstrumentations(): readonly unknown[] }>(name, need).getNodeAutoInstrumentations();
  } catch (cause) {
    // Not installed: what the application says by itself is exported.
    if (cause instanceof Error && 'code' in cause && cause.code === 'SPILLWAY_USAGE_PEER') return [];
    throw cause;
  }
}

const registration: Registration = register({
  process,
  loadSdk: nodeSdk,
  loadInstrumentations: instrumentations,
});

/** Puts on disk what the SDK still holds, and ends it. For applications that end in a way of their own. */
export function shutdown(): Promise<void> {
  return registration.shutdown();
}
