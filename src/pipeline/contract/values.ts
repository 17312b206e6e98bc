// Kinds of values that many options share, as zod schemas: written once, so that a size is a size everywhere.

import { type ZodType, z } from 'zod';

const unitBytes: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Bytes: `256MiB`, `1.5 GB`, or a whole number. Gives a number. */
export function byteSize({ min = 0 }: { readonly min?: number } = {}): ZodType<number, number | string> {
  return z
    .union([z.number(), z.string()])
    .transform((value, context) => {
      const bytes = typeof value === 'number' ? value : parseSize(value);
      if (Number.isSafeInteger(bytes) && bytes >= min) return bytes;
      const message = `expected a size such as 256MiB or a whole number of bytes, at least ${min}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    })
    .meta({ format: 'byte-size' });
}

function parseSize(text: string): number {
  const parts = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unit = unitBytes[(parts?.[2] || 'b').toLowerCase()];
  return parts === null || unit === undefined ? Number.NaN : Math.round(Number(parts[1]) * unit);
}

/** Seconds in the config, fractions allowed (keys end in `_secs`). Gives milliseconds. */
export function seconds({
  min = 0,
  max = 1e9,
}: {
  readonly min?: number;
  readonly max?: number;
} = {}): ZodType<number, number> {
  return z
    .number()
    .min(min)
    .max(max)
    .transform((value) => Math.round(value * 1000))
    .meta({ format: 'seconds' });
}

/** A string that is never printed: not in errors, not in logs. `<key>_file` reads it from a file instead. */
export function secret(): ZodType<string, string> {
  return z.string().min(1).meta({ format: 'secret' });
}

/** A file or directory of the host, or a pattern of them. Absolute when a plugin gets it: from the config's folder. */
export function hostPath(): ZodType<string, string> {
  return z
    .string()
    .min(1)
    .refine(
      (text) => !isHomePath(text),
      'expected a path from / on, or from the config; ~ is not understood: use ${HOME}',
    )
    .meta({ format: 'path' });
}

/** Shells know what it stands for; here it would be a directory of that name. */
export function isHomePath(text: string): boolean {
  return text === '~' || text.startsWith('~/');
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:4318`, `localhost:4318`, `[::1]:4318`. Port 0 takes any that is free. */
export function address(): ZodType<Address, string> {
  return z
    .string()
    .transform((value, context) => {
      const parts = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/i.exec(value);
      const port = Number(parts?.[3]);
      if (parts !== null && port <= 65_535) return { host: (parts[1] ?? parts[2]) as string, port };
      context.addIssue({ code: 'custom', message: 'expected host:port such as 127.0.0.1:4318 or [::1]:4318' });
      return z.NEVER;
    })
    .meta({ format: 'address' });
}
