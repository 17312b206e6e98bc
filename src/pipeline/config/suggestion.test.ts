import { expect, it } from 'vitest';
import { closest, suggestion } from './suggestion.ts';

const keys = ['type', 'inputs', 'buffer', 'batch', 'request', 'retry_attempts', 'retry_max_duration_secs', 'max_size'];

it.each([
  ['bufer', 'buffer'],
  ['bufffer', 'buffer'],
  ['buffre', 'buffer'],
  ['maxSize', 'max_size'],
  ['max-size', 'max_size'],
  ['input', 'inputs'],
  ['retry_attempt', 'retry_attempts'],
  ['retry_max_duration', 'retry_max_duration_secs'],
  ['tpye', 'type'],
])('%s was meant to be %s', (given, expected) => {
  expect(closest(given, keys)).toBe(expected);
  expect(suggestion(given, keys)).toBe(`; did you mean "${expected}"?`);
});

it.each(['xyz', 'password', 'a', '', 'x'.repeat(10_000)])('%.10s was meant to be nothing that we know', (given) => {
  expect(closest(given, keys)).toBeUndefined();
  expect(suggestion(given, keys)).toBe('');
});

it.each([
  ['timeout', ['max_bytes', 'timeout_secs'], 'timeout_secs'],
  ['max_size', ['max_bytes', 'max_events'], 'max_bytes'],
  ['maxSizeBytes', ['max_bytes', 'max_events'], 'max_bytes'],
  ['list_option', ['key', 'list'], 'list'],
  ['retry', ['retry_attempts', 'retry_jitter_mode'], undefined],
  ['secs', ['timeout_secs', 'bytes'], undefined],
  ['host', ['key', 'endpoint', 'url'], 'url'],
  ['user', ['key', 'username'], 'username'],
])('%s beside %j is %s', (given, known, expected) => {
  expect(closest(given, known)).toBe(expected);
});
