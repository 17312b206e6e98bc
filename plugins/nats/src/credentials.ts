// Who we are, in the words of CONNECT. A seed signs what the server asks and never leaves this process; a password and
// a token do, so they belong behind TLS wherever the network is not ours.
//
// Credentials are read at every connect: a file that was renewed is found by the next one.
import { fromSeed } from '@nats-io/nkeys';
import type { HostFiles } from 'spillway/plugin';
import type { AuthOptions } from './options.ts';

export type ConnectFields = Readonly<Record<string, string>>;

/** Something with our own credentials or certificates is wrong; the message says what, and shows none of them. */
export class CredentialsError extends Error {
  override readonly name = 'CredentialsError';
}

/** What the options say, else the url. `nonce` is what the server wants signed. */
export async function connectFields(
  auth: AuthOptions | undefined,
  url: URL,
  nonce: string | undefined,
  files: HostFiles,
): Promise<ConnectFields> {
  switch (auth?.strategy) {
    case undefined:
      return fieldsOfUrl(url);
    case 'user_password':
      return { user: auth.user_password?.user ?? '', pass: auth.user_password?.password ?? '' };
    case 'token':
      return { auth_token: auth.token?.value ?? '' };
    case 'nkey':
      return signedBySeed(auth.nkey?.seed ?? '', auth.nkey?.nkey, nonce);
    case 'credentials_file':
      return await signedByFile(auth.credentials_file?.path ?? '', nonce, files);
  }
}

/** A user without a password is a token. */
function fieldsOfUrl({ username, password }: URL): ConnectFields {
  if (username === '') return {};
  const user = decode(username);
  return password === '' ? { auth_token: user } : { user, pass: decode(password) };
}

/** A stray percent sign stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function signedBySeed(seed: string, nkey: string | undefined, nonce: string | undefined): ConnectFields {
  const { publicKey, signature } = sign(seed, nonce, 'the seed of auth.nkey');
  if (nkey !== undefined && nkey !== publicKey) {
    throw new CredentialsError('auth.nkey: the seed belongs to another key than nkey says');
  }
  return { nkey: publicKey, sig: signature };
}

async function signedByFile(path: string, nonce: string | undefined, files: HostFiles): Promise<ConnectFields> {
  const text = await files.readText(path).catch(() => undefined);
  if (text === undefined) throw new CredentialsError(`the credentials file ${path} cannot be read`);
  const [jwt, seed] = [...text.matchAll(/-{3,}BEGIN [^\n]*-{3,}\s+(\S+)\s+-{3,}END [^\n]*-{3,}/g)].map(
    ([, part]) => part,
  );
  if (jwt === undefined || seed === undefined) {
    throw new CredentialsError(`the credentials file ${path} should hold a JWT and a seed between BEGIN and END lines`);
  }
  return { jwt, sig: sign(seed, nonce, `the seed in ${path}`).signature };
}

export function isSeed(text: string): boolean {
  try {
    fromSeed(Buffer.from(text.trim())).clear();
    return true;
  } catch {
    return false;
  }
}

function sign(seed: string, nonce: string | undefined, what: string): { publicKey: string; signature: string } {
  try {
    const pair = fromSeed(Buffer.from(seed.trim()));
    const signature = Buffer.from(pair.sign(Buffer.from(nonce ?? ''))).toString('base64url');
    const publicKey = pair.getPublicKey();
    pair.clear();
    return { publicKey, signature };
  } catch {
    // Without the cause: it may show what it could not read.
    throw new CredentialsError(`${what} is no seed of an nkey`);
  }
}
