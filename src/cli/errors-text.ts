// An error as an operator reads it: where, what, and what to do; every issue of a config at once.

import type { ConfigIssue } from '../base/errors.ts';
import { isSpillwayError } from './exit-codes.ts';
import { type Output, styled } from './terminal.ts';

/** Lines that end with a newline. The stack is for bugs only: what was meant to be raised explains itself. */
export function errorText(cause: unknown, output: Output): string {
  const heading = styled(output, 'red', 'error:');
  if (!isSpillwayError(cause)) {
    const detail = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    return `${heading} this is a bug in Spillway or in a plugin; please report it\n${detail}\n`;
  }
  const issues = issuesOf(cause).map((issue) => issueText(issue, output));
  // The message of a ConfigError lists its issues as well, for whoever has nothing else to print.
  const [summary] = cause.message.split('\n');
  const message = issues.length > 0 ? summary : cause.message;
  return `${heading} ${message}\n${issues.join('')}${styled(output, 'dim', `(${cause.code})`)}\n`;
}

export function issueText({ file, line, column, path, message }: ConfigIssue, output: Output): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  const where = path === '' ? '' : `${styled(output, 'bold', path)}: `;
  return `  ${styled(output, 'dim', place)}  ${where}${message}\n`;
}

function issuesOf(cause: Error): readonly ConfigIssue[] {
  return 'issues' in cause && Array.isArray(cause.issues) ? (cause.issues as ConfigIssue[]) : [];
}

/** The same for programs. */
export function errorJson(cause: unknown): string {
  const known = isSpillwayError(cause);
  const message = cause instanceof Error ? cause.message : String(cause);
  const issues = cause instanceof Error ? issuesOf(cause) : [];
  const content = {
    error: { code: known ? cause.code : undefined, message, ...(issues.length > 0 ? { issues } : {}) },
  };
  return `${JSON.stringify(content)}\n`;
}
