// TLS as every sink that connects somewhere says it in its config, under Vector's names, and what `node:tls` takes.

import { type ZodType, z } from 'zod';
import type { HostFiles } from '../../platform/host-files.ts';
import { hostPath, secret } from './values.ts';

export interface TlsOptions {
  readonly ca_file?: string | undefined;
  readonly crt_file?: string | undefined;
  readonly key_file?: string | undefined;
  readonly key_pass?: string | undefined;
  readonly server_name?: string | undefined;
  readonly verify_certificate: boolean;
  readonly verify_hostname: boolean;
}

/** The same with the files read, to be spread into the options of `tls.connect`. */
export interface TlsSettings {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
  readonly checkServerIdentity?: () => undefined;
}

export interface SwitchableTlsOptions extends TlsOptions {
  readonly enabled: boolean;
}

const keys = {
  ca_file: hostPath().optional().describe('Certificates to trust instead of the usual ones, as PEM.'),
  crt_file: hostPath().optional().describe('The certificate to show to the server, as PEM.'),
  key_file: hostPath().optional().describe('Its private key, as PEM.'),
  key_pass: secret().optional().describe('The password of the private key.'),
  server_name: z.string().min(1).optional().describe('The name to ask for and to find in the certificate.'),
  verify_certificate: z.boolean().default(true).describe('Whether a certificate has to be trusted.'),
  verify_hostname: z.boolean().default(true).describe('Whether a certificate has to name the host.'),
};

/** The value of a key `tls` of a sink whose url says whether TLS is used at all. */
export function tlsOptions(): ZodType<TlsOptions> {
  return z.strictObject(keys).superRefine(refuseHalves);
}

/** A certificate without its key is never shown: the peer would be said to want what it was given. */
function refuseHalves({ crt_file, key_file, key_pass }: Partial<TlsOptions>, context: z.RefinementCtx): void {
  const refuse = (path: string, message: string): void => context.addIssue({ code: 'custom', message, path: [path] });
  if (crt_file !== undefined && key_file === undefined)
    refuse('key_file', 'expected the private key that crt_file belongs to; a file may hold both, and is named twice');
  if (key_file !== undefined && crt_file === undefined)
    refuse('crt_file', 'expected the certificate that key_file belongs to; a file may hold both, and is named twice');
  if (key_pass !== undefined && key_file === undefined && crt_file === undefined)
    refuse('key_file', 'expected the private key that key_pass is the password of');
}

/**
 * The same with a key `enabled`, for a sink without such a url. Where TLS is not the default, whoever gives another key
 * has to say it: with a certificate and no switch, everybody could read what was meant to be encrypted.
 */
export function switchableTlsOptions({
  enabledByDefault,
}: {
  readonly enabledByDefault: boolean;
}): ZodType<SwitchableTlsOptions> {
  const enabled = z.boolean().optional().describe(`Whether TLS is used. Default: ${enabledByDefault}.`);
  return z
    .strictObject({ enabled, ...keys })
    .superRefine((given, context) => {
      if (given.enabled !== false) refuseHalves(given, context);
    })
    .refine((given) => enabledByDefault || given.enabled !== undefined || !saysMore(given), {
      error: 'expected enabled: true beside the other keys, or enabled: false to do without TLS',
    })
    .transform(({ enabled: switched = enabledByDefault, ...others }) => ({ enabled: switched, ...others }));
}

/** Whether there is anything that is not there by default. */
export function saysMore({ verify_certificate, verify_hostname, ...texts }: TlsOptions): boolean {
  return !verify_certificate || !verify_hostname || Object.values(texts).some(Boolean);
}

/**
 * Reads the files anew each time, so that a connection made after a certificate was renewed uses the new one. Rejects
 * with an error that names the file.
 */
export async function readTls(options: TlsOptions, files: HostFiles): Promise<TlsSettings> {
  const read = async (path: string | undefined): Promise<string | undefined> => {
    const text = path === undefined ? undefined : await files.readText(path);
    if (path !== undefined && text === undefined)
      throw new Error(`Could not read ${path} for TLS: there is no such file.`);
    return text;
  };
  const [ca, cert, key] = await Promise.all([options.ca_file, options.crt_file, options.key_file].map(read));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(options.key_pass === undefined ? {} : { passphrase: options.key_pass }),
    ...(options.server_name === undefined ? {} : { servername: options.server_name }),
    ...(options.verify_certificate ? {} : { rejectUnauthorized: false }),
    ...(options.verify_hostname ? {} : { checkServerIdentity: () => undefined }),
  };
}
