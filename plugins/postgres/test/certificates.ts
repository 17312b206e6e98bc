// A certificate for tests that names `localhost` and nothing else, signed by itself, good until 2126. To make one:
// `openssl req -x509 -newkey ec -nodes -days 36500 -subj /CN=localhost -addext subjectAltName=DNS:localhost`.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

function path(name: string): string {
  return fileURLToPath(new URL(`certificates/${name}`, import.meta.url));
}

export const certificateFile: string = path('server.pem');

/** For a server. */
export const serverTls: { readonly cert: string; readonly key: string } = {
  cert: readFileSync(certificateFile, 'utf8'),
  key: readFileSync(path('server.key.pem'), 'utf8'),
};
