// A path with parts that time and signal fill in: `/var/log/shop/%Y-%m-%d/{signal}.jsonl`.
//
// `%Y %m %d %H %M %S` are the time of writing in UTC, `%%` is a percent sign, `{signal}` is logs, traces or metrics.
// Anything else that looks like a part to fill in is refused at once: a file named `%y` helps nobody.

import type { Signal } from '../../../otlp/signal.ts';
import { isHomePath } from '../../contract/values.ts';

const partPattern = /%(.?)|\{signal\}|\{\{.*?\}\}/gs;
const datePartOf: Readonly<Record<string, (stamp: string) => string>> = {
  Y: (stamp) => stamp.slice(0, -20),
  m: (stamp) => stamp.slice(-19, -17),
  d: (stamp) => stamp.slice(-16, -14),
  H: (stamp) => stamp.slice(-13, -11),
  M: (stamp) => stamp.slice(-10, -8),
  S: (stamp) => stamp.slice(-7, -5),
};

/** What is wrong with a template, or undefined. */
export function problemOfTemplate(template: string): string | undefined {
  if (isHomePath(template)) return 'expected a path from / on, or from the config; ~ is not understood: use ${HOME}';
  if (template.endsWith('/')) return 'expected the path of a file, not of a folder';
  if (template.includes('\0')) return 'a path has no zero bytes';
  for (const [part, letter] of template.matchAll(partPattern)) {
    if (part.startsWith('{{')) return `found ${part}: the path may vary by %Y %m %d %H %M %S and {signal} only`;
    if (letter === undefined || letter === '%' || letter in datePartOf) continue;
    return `found ${part}: expected %Y, %m, %d, %H, %M, %S, or %% for a percent sign`;
  }
  return undefined;
}

export function hasSignal(template: string): boolean {
  return template.includes('{signal}');
}

export function renderPath(template: string, { signal, nowMs }: { signal: Signal; nowMs: number }): string {
  const stamp = new Date(nowMs).toISOString();
  return template.replaceAll(partPattern, (part, letter: string | undefined) => {
    if (letter === undefined) return part === '{signal}' ? signal : part;
    return letter === '%' ? '%' : (datePartOf[letter]?.(stamp) ?? part);
  });
}
